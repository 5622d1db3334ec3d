"""Understanding: two engines behind one seam, their training data, and the tools to measure them (DESIGN §7).

`engine.py` is the seam; `embedded.py` the default engine (trained here, in seconds); `server.py` a real Rasa server;
`entities.py` and `emotion.py` what every engine shares; `evaluation.py` and `training.py` what operators run.
"""
