"""Labels of observations and the ontology terms that they mean.

Which files hold ontologies belongs to `genept.datasources`; texts that stand for a label to
`genept.embeddings.text_readings`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
