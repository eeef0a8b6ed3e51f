"""The tokenizer's side: what each token writes, and a trie over all of them.

vocabulary   `Vocabulary`, the one public name
_trie        byte strings -> flat preorder arrays
_reading     tokenizers of all kinds -> bytes of every token
"""

from grammars.vocabulary.vocabulary import Vocabulary

__all__ = ["Vocabulary"]
