"""The tokenizer's side: what each token writes, and a trie over all of them.

vocabulary   `Vocabulary`, the one public name
_trie        byte strings -> flat preorder arrays
_reading     which kind of tokenizer is it: _rust (the tokenizers library) or _python (tiktoken, sentencepiece, ...)
_spelling    the text of a token -> bytes, by the rule that the tokenizer's decoder gives
_checking    the bytes that were read against what the tokenizer decodes
_cache       vocabularies kept in the process and on disk
"""

from grammars.vocabulary.vocabulary import Vocabulary

__all__ = ["Vocabulary"]
