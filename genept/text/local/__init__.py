"""Text embedders of this machine: pretrained encoders, static tables, LSA, and the controls.

Which there are is declared in `genept/text/embedders.toml`; those of services are in
`genept.text.hosted`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
