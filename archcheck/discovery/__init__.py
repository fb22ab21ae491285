"""What goes into a network, found out from the network itself.

`assumption`: an input as a spec has it, and where it is from; `value_tree`: the tensors within it. `hints`: sizes
that names tell. `configurations`: what libraries' networks say of their input. `arguments`: what the forward asks
for, by name and annotation, and `unpacking`, by what its source takes apart. `layers`: what a layer takes, `patches`:
what one takes that cuts it into patches, `own_states`: the state that a network makes to begin with. `proposals`:
inputs to try, the likeliest first. `trial`: a network run on one of them. `refused_sizes`: what an error tells of the
input that it refuses, and `mends`: that input changed accordingly. `search`: all of it together; `values`: which
values the input has that was found, `doubts`: why it may be meant otherwise, `last_words`: what to write where none
was found. `refusal`: a forward that stopped, in terms of the layer that refused.
"""
