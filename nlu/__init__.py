"""Understanding: two engines behind one seam, their training data, and the tools to measure them (DESIGN §7).

`understanding.py` is what the program asks. Behind it: `embedded.py`, the default engine (`features.py`, `lexicon.py`
what it sees, `fit.py` how it learns, `model.py` what it has learnt), and `server.py`, a real Rasa server
(`rasa_project.py` makes and runs it from nlu/rasa). `entities.py` and `emotion.py` serve every engine.
`training.py` and `evaluation.py` are what operators run, by `hotline train` and `python -m nlu evaluate`.
"""
