"""What is meant to be used from outside this package."""

from .answer_cache import AnswerCache as AnswerCache
from .answer_formats import AnswerFormat as AnswerFormat
from .answer_formats import FormatError as FormatError
from .chat_budget import ChatBudget as ChatBudget
from .chat_budget import ChatBudgetError as ChatBudgetError
from .chat_budget import unfinished as unfinished
from .chat_service import ChatAnswer as ChatAnswer
from .chat_service import ChatService as ChatService
from .chats import Chat as Chat
from .chats import ChatError as ChatError
from .chats import ChatOutcome as ChatOutcome
from .chats import PromptVersion as PromptVersion
from .chats import RefusedChatError as RefusedChatError
from .chats import Reply as Reply
from .chats import SamplingOptions as SamplingOptions
from .completion import ChatForecast as ChatForecast
from .completion import complete as complete
from .completion import forecast_chats as forecast_chats
from .declared_models import LanguageModel as LanguageModel
from .declared_models import load_language_models as load_language_models
from .local_server import LocalChatService as LocalChatService
from .model_registry import LanguageModels as LanguageModels
from .prompts import Prompt as Prompt
from .prompts import load_prompts as load_prompts
from .prompts import read_prompt as read_prompt
from .prompts import read_schema as read_schema
