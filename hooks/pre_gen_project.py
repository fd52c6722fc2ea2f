"""Lock production's versions before a single file is rendered, and refuse a folder that has something in it."""

import os
import sys

# Else modules come from where cookiecutter put this: the folder for temporary files, which anybody may write into.
sys.path[0] = os.path.join(r"""{{ template_root }}""", "hooks")
import json

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
os.remove(__file__)
if answers["__production_requirements"] or os.listdir():
    from ds_docker_env import generation

    sys.exit(generation.prepare(answers))
