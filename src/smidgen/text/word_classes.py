"""Classes of the small words of English and German: articles, prepositions, pronouns, helping verbs, adverbs, polite words.

A name or a thing that nobody has seen before stands between such words. So their classes show a tagger that learns from few rows where it
begins and ends.
"""

from __future__ import annotations

OPEN = "open"
"""The class of all other words: nouns, names, most verbs and adjectives."""

_CLASSES = {
    "article": "a an the some any no this that these those each every another der die das den dem des ein eine einen einem einer eines "
    "kein keine keinen keinem keiner dieser diese dieses diesen diesem jeder jede jedes jeden etwas ein-",
    "own": "my your his her its our their mein meine meinen meinem meiner dein deine deinen sein seine seinen ihr ihre ihren ihrem ihrer "
    "unser unsere unseren unserem unserer euer eure",
    "before": "in on at to from of for with without by about under below above over into onto near behind between until till since after "
    "before during per via than as around inside outside off out up down through against im am um zu zum zur von vom für mit ohne bei beim "
    "nach aus auf an über unter vor hinter zwischen bis seit gegen durch ab ins ans wegen während pro statt als",
    "person": "i you he she it we they me him us them someone somebody anybody everyone one's i'm ich du er sie es wir mich dich ihn uns "
    "euch ihnen mir dir man jemand jemanden jemandem sich myself yourself",
    "helping": "am is are was were be been being do does did have has had can could will would shall should may might must need let "
    "got get gets getting cannot bin bist ist sind seid war waren habe hast hat haben hatte hätte hätten kann kannst können könnte könnten "
    "könnten will willst wollen wollte wollten möchte möchten muss müssen soll sollte sollten sollen darf dürfte dürfen wird werden wurde "
    "würde würden wäre wären geht gibt",
    "asking": "what which who whom whose when where why how was welche welcher welches welchen wer wen wem wann wo wohin woher warum wie "
    "wieso wieviel",
    "joining": "and or but if because so while und oder aber wenn weil dass ob denn sondern sowie also",
    "not": "not never n't don't doesn't didn't won't can't isn't aren't wasn't couldn't wouldn't haven't hasn't nicht nie niemals nichts",
    "polite": "please thanks thank hello hi hey dear sorry bitte danke hallo guten tag gruß grüße kindly thx pls",
    "adverb": "now still again already yet just only also too very here there back away soon today tomorrow tonight yesterday later "
    "immediately right instead once more most much many few less least maybe perhaps really always often usually currently "
    "jetzt noch wieder schon nur auch sehr hier da dort zurück bald heute morgen gestern später sofort lieber mal gern gerne mehr viel "
    "viele wenig weniger vielleicht immer oft gerade eben doch dringend nochmal übermorgen",
    "verb": "want like need order book cancel send sent bring put set turn switch make take give tell show find look looking search buy "
    "return change check see know think want wants went go going come came coming work works say said says call ask arrive arrived "
    "expect wait waiting help open opened close closed stop start play add remove rent hire reserve move moved brauche braucht brauchen "
    "bräuchte bräuchten suche suchen sucht kaufe kaufen bestellen bestelle bestellt buchen buche schicken schicke schickt senden sende "
    "bringen bringt nehmen nehme machen mache macht sehen schauen zeigen zeige kommen komme kommt gehen gehe stellen stelle stornieren "
    "storniere ändern mieten leihen ausleihen reservieren finden finde sagen rufen rufe melden fragen holen abholen bekommen führen "
    "prüfen warte warten",
}
CLASSES = tuple(_CLASSES)
"""The classes of listed words."""
_CLASS_OF = {word: name for name, words in _CLASSES.items() for word in words.split()}


def class_of(word: str) -> str:
    """The class of a word; `OPEN` for a word that is not listed."""
    return _CLASS_OF.get(word.casefold(), OPEN)
