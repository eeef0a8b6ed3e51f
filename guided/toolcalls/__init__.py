"""Tool calls: what tools there are, how a model writes a call, and free text around it.

definitions  OpenAI-style definitions, pydantic models and functions -> `Tool`
formats      how the families of models write calls: markers, grammar of a call, and reading it back
constraint   `guided.tools`
"""

from guided.toolcalls.constraint import tools
from guided.toolcalls.definitions import Tool
from guided.toolcalls.formats import FORMATS, ToolFormat
from guided.toolcalls.reply import ToolReply

__all__ = ["FORMATS", "Tool", "ToolFormat", "ToolReply", "tools"]
