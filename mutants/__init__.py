"""Changes the program's meaning in one place at a time, and looks whether a test notices.

``make mutants`` runs it. Where to change what comes from cosmic-ray (and a few operators of our own); running a thousand test
runs in minutes is done here, by forking a process that has imported pytest and the libraries already. It works on copies of the
tree below ``build/mutants``, and never touches the tree itself.
"""
