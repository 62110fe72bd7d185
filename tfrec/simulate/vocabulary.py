"""The words of the simulated service. Plain data; which word means what is documented here."""

from __future__ import annotations

__all__ = [
    "AGE_BANDS",
    "ARTIST_FIRST",
    "ARTIST_LAST",
    "COMMENT_TEMPLATES",
    "COUNTRIES",
    "DEVICES",
    "EVENTS",
    "GENRES",
    "LINES",
    "NEGATIVE",
    "POSITIVE",
    "TITLES",
    "TOPICS",
]

# Text latent d leans to TOPICS[2d] where it is positive and to TOPICS[2d + 1] where it is negative.
TOPICS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (name, tuple(words.split()))
    for name, words in (
        (
            "romance",
            "kiss lover tender embrace darling sweetheart romance wedding rose honeymoon",
        ),
        ("heartbreak", "tears goodbye lonely broken betrayal divorce sorrow regret grief ache"),
        ("city", "neon street subway traffic skyline taxi concrete downtown elevator billboard"),
        ("nature", "river forest mountain meadow valley ocean pine harvest moss wildflower"),
        ("party", "dance party champagne weekend glitter crowd laughter disco tequila jukebox"),
        ("solitude", "prayer silence monastery candle meditation hymn stillness angel pilgrim fog"),
    )
)

LINES: tuple[str, ...] = (
    "{} and {}",
    "oh the {} and the {}",
    "{} by the {}",
    "give me {} give me {}",
    "a {} inside my {}",
    "we were {}, we were {}",
    "every {} has its {}",
    "back to {} and {}",
)

TITLES: tuple[str, ...] = (
    "{0} and {1}",
    "{0} {1}",
    "My {0}",
    "The {0} of {1}",
    "No More {0}",
    "One Last {0}",
    "{0}",
    "Song for the {0}",
)

GENRES: tuple[str, ...] = (
    "ambient",
    "blues",
    "classical",
    "country",
    "electronic",
    "folk",
    "hip hop",
    "jazz",
    "metal",
    "pop",
    "rock",
    "soul",
)

ARTIST_FIRST: tuple[str, ...] = (
    "Mira",
    "Théo",
    "Anaïs",
    "Jonas",
    "Lucía",
    "Omar",
    "Sigrid",
    "Kofi",
    "Yuki",
    "Priya",
    "Søren",
    "Ines",
    "Marek",
    "Zola",
    "Aylin",
    "Bruno",
    "Chidi",
    "Dana",
    "Elif",
    "Farid",
    "Greta",
    "Hana",
    "Ivo",
    "Jun",
)
ARTIST_LAST: tuple[str, ...] = (
    "Quartet",
    "Brothers",
    "Okafor",
    "Lindqvist",
    "Collective",
    "Moreau",
    "Tanaka",
    "Silva",
    "Ensemble",
    "Kaya",
    "Nowak",
    "Machine",
    "Larsen",
    "Rivera",
    "Haddad",
    "Parade",
    "Osei",
    "Vidal",
    "Experience",
    "Weber",
)

AGE_BANDS: tuple[str, ...] = ("-17", "18-24", "25-34", "35-44", "45-59", "60+")
COUNTRIES: tuple[str, ...] = ("BR", "CN", "DE", "FR", "IN", "JP", "NG", "US")
DEVICES: tuple[str, ...] = ("car", "desktop", "phone", "speaker")
EVENTS: tuple[str, ...] = ("listen", "like", "skip", "share")

POSITIVE: tuple[str, ...] = (
    "wonderful",
    "beautiful",
    "gorgeous",
    "brilliant",
    "lovely",
    "uplifting",
    "fantastic",
    "catchy",
    "superb",
    "warm",
    "stunning",
    "delightful",
    "perfect",
    "amazing",
    "joyful",
    "great",
)
NEGATIVE: tuple[str, ...] = (
    "boring",
    "awful",
    "annoying",
    "dull",
    "terrible",
    "flat",
    "tedious",
    "irritating",
    "bland",
    "disappointing",
    "weak",
    "shallow",
    "harsh",
    "noisy",
    "forgettable",
    "bad",
)
COMMENT_TEMPLATES: tuple[str, ...] = (
    "so {}, really {}",
    "such {} singing, {} and {}",
    "honestly {}",
    "{} chorus, {} verses",
    "the whole thing is {} and the voice is {}",
    "one {} song, my friends say {}",
)
