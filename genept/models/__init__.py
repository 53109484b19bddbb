"""Models of bulk samples: diagnosis and drug response, with the splits that keep them honest.

Works on arrays and frames in memory; storage and orchestration belong elsewhere.
"""
