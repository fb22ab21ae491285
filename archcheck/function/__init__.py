"""What a network computes: recorded as a few numbers of each layer, and compared.

`planning` chooses the sizes, `fingerprint` runs a network with fixed weights, `health_probe` looks for defects
meanwhile, `section` writes what was recorded, `comparison` finds the first layer that differs, and `diagnosis` looks
for the mistake behind it.
"""
