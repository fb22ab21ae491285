"""Networks and the torch that they live in.

- `build`: a build target to a callable that builds the network. `imports`: the modules and files that targets name.
  `command_line`: the one that they see, as if they were run.
- `target_patterns`: the targets that a pattern names.
- `schemes`: what targets such as `timm:NAME` build, and `config_files`, those of transformers and diffusers.
- `call_arguments`: a spec's `args`, their names checked. `argument_values`: what their values become, by the
  `annotations` of what is called. `signatures`: parameters and annotations, also of names that aren't there.
  `fields_read`: what code reads of an argument that is an object or a map.
- `arguments`: what goes into a forward pass, made of its description, or by a user's callable: `input_source`, the same
  in every process by `input_checksum`.
- `checkpoint_file`: files of weights, read without running anything in them.
- `exceptions`: what a user's code raised, in one line, and the line that did. `warning_places`: warnings at the line
  that causes them. `running_code`: the line that is running.
- `devices`: what torch knows of its devices: which there are, what they hold, what they can.
- `named_devices`: accelerators that code names, taken for the CPU. `absent_accelerators`: what is asked of those that
  this machine hasn't.
- `torch_state`: torch's global state, kept as the caller had it. `isolation`: what a trace needs around it.
- `objects`: the attributes of objects of any make.
- `forward_watcher`: something put between each module and its forward.
"""
