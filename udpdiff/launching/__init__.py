"""How the processes of a job are started, watched and brought back, on a cluster and on one machine."""
