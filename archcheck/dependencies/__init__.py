"""What the result of a check depends on, and whether any of it is another by now. Imports no torch.

`facts` look at the files, folders, variables and distributions that a result may depend on, `distributions` at what is
installed, `names` at what a name would be imported from; `conditions` are what every result depends on. `recorder`
gathers what each spec has `used`: `imports` watches import statements, `reads` files, folders, variables and what
nobody can follow, `frames` tells whose code it was, and `leftovers` what modules keep from one run to the next. `store`
keeps it in a file, and `selection` tells what is unchanged.
"""
