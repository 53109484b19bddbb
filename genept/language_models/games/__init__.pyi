"""What is meant to be used from outside this package."""

from .donor_game import play as play
from .donor_rules import Agent as Agent
from .donor_rules import DonorGame as DonorGame
from .donor_rules import GameResult as GameResult
from .donor_rules import GenerationScore as GenerationScore
from .donor_rules import Move as Move
from .donor_rules import Situation as Situation
from .language_agents import LanguageAgent as LanguageAgent
from .language_agents import language_agents as language_agents
from .scripted_agents import SCRIPTED as SCRIPTED
from .scripted_agents import ScriptedAgent as ScriptedAgent
from .scripted_agents import imitate as imitate
from .scripted_agents import imitate_or_invent as imitate_or_invent
