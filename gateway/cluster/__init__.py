"""The gateway process's side of Ray."""

import os

# A process whose cluster is gone for 60 s would be ended by Ray's C++ (`_Exit(1)`); ours waits for
# it to come back. Ray reads this once, when it is imported, which the modules of this room do.
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(10**9))

# A look for an actor would wait for a minute for a control store that is silent.
os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", "10")
