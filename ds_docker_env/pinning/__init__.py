"""From production's file to a lock that holds its versions; needs the libraries that `generation.versions` names."""
