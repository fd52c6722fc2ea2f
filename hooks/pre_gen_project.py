"""Lock production's versions before a single file is rendered, and refuse a folder that has something in it."""

import os
import sys

# cookiecutter leaves it, with all answers, in the folder for temporary files, where modules of anybody may be, too.
os.remove(__file__)
sys.path[0] = os.path.join(r"""{{ template_root }}""", "hooks")
import json

answers = json.loads(r"""{{ cookiecutter | for_hooks | tojson }}""")
if answers["__production_requirements"] or os.listdir():
    from ds_docker_env import generation

    sys.exit(generation.prepare(answers))
