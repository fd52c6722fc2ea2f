"""From production's file to a lock that has its versions; needs the libraries that `generation.versions` names."""
