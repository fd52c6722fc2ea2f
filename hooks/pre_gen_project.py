"""Lock production's versions before a single file is rendered, and refuse a folder that has something in it."""

import json
import os
import sys

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
# cookiecutter leaves it, with all answers, in the folder for temporary files.
os.remove(__file__)
if answers["__production_requirements"] or os.listdir():
    sys.path.insert(0, os.path.join(r"""{{ template_root }}""", "hooks"))
    from ds_docker_env import generation

    sys.exit(generation.prepare(answers))
