# %pip asks the image's pip, which says how a package is added.
get_ipython().register_magic_function(lambda line: get_ipython().system(f"pip {line}"), magic_name="pip")
