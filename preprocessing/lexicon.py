"""The words that the sentiment classifier's training texts are made of."""

from __future__ import annotations

__all__ = [
    "DIMINISHERS",
    "FUNCTION_WORDS",
    "INTENSIFIERS",
    "NEGATIONS",
    "NEGATIVE",
    "NEUTRAL",
    "PHRASES",
    "POSITIVE",
]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


POSITIVE = _words(
    """
    addictive adorable amazing amusing appealing astonishing atmospheric awesome beautiful
    best bittersweet blissful brave breathtaking bright brilliant captivating catchy
    charming cheerful classic clever comforting compelling convincing cool cozy creative
    cute dazzling deep delicious delight delightful dreamy durable easy elegant enchanting
    energetic engaging enjoy enjoyable enjoyed entertaining epic exceptional excellent
    exciting exquisite fabulous fantastic fascinating favorite favourite fine flawless fresh
    friendly fun funny genius gem glad glorious good gorgeous graceful gripping great groovy
    happy harmonious heartfelt heartwarming helpful hilarious honest impressed impressive
    incredible ingenious innovative inspired inspiring intelligent interesting inventive
    irresistible joy joyful kind liked likeable lively love loved lovely luminous lush magic
    magical magnificent majestic marvellous marvelous masterful masterpiece melodic
    memorable mesmerizing mesmerising moving nice original outstanding passionate perfect
    phenomenal playful pleasant pleased pleasure poetic polished positive powerful precious
    profound pure quality quotable radiant recommend recommended refreshing reliable
    remarkable rewarding rich romantic satisfying sensational sincere smart smooth soothing
    soulful spectacular splendid stellar strong stunning stylish sublime super superb
    superior surprising sweet swell tasteful tender terrific thoughtful thrilling timeless
    top touching treasure triumph unforgettable unique uplifting useful vibrant vivid warm
    win winner wise witty wonder wonderful worth worthwhile worthy wow yummy :) :d ;) =) 😀 😃
    😄 😁 😊 😍 🥰 🤩 👍 ❤ 🎉 💯 😂 ☺
    """
)
NEGATIVE = _words(
    """
    abysmal annoyed annoying appalling atrocious average avoid awful awkward bad badly banal
    bland bleak boring bored broken careless cheap cheesy chaotic cheated clumsy cliche
    clichéd cold confusing contrived creepy cringe crap dated defective depressing
    derivative dire dirty disappointed disappointing disappointment disaster disgusting
    dislike disliked distasteful dreadful drab dreary dull dumb embarrassing empty
    excruciating expensive fail failed fails failure fake faulty filthy flat flawed flop
    foolish forced forgettable formless frustrating garbage generic ghastly gimmicky gloomy
    grating grim gross hate hated hateful heartless hideous hollow horrendous harsh horrible
    horrid horrific idiotic inane incoherent inept inferior insipid insufferable irritating
    jarring junk lacking lackluster lacklustre lame lazy lifeless limp loathe lousy mean
    mediocre meaningless mess messy mindless miserable monotonous mushy nasty nauseating
    noisy nonsense numbing obnoxious offensive overlong overpriced overrated painful
    pathetic pointless poor poorly predictable pretentious regret repetitive repulsive
    ridiculous rotten rubbish rude ruined sad scam shallow shameful shoddy silly slow sloppy
    soulless stale sterile stupid sucks tacky tasteless tedious terrible tired tiresome
    tragic trash trite trivial ugly unbearable unconvincing underwhelming unfunny uninspired
    uninteresting unlistenable unoriginal unpleasant unreliable unwatchable upset useless
    vapid vile vulgar wasted waste weak weary whiny worse worst worthless wrong yawn yuck :(
    =( :/ 😞 😠 😡 😢 😭 👎 🤮 💔 🙄 😒 ☹
    """
)
NEUTRAL = _words(
    """
    song film movie story voice singing chorus verse album book plot actor scene band track
    game product phone place ending music guitar piano drums lyrics sound picture colour
    camera season episode character friend year day night family city time part thing work
    way version title director artist people world life table chair house water road car
    train letter number word animation comedy drama thriller war space history school police
    music-video remake sequel based
    """
)
INTENSIFIERS = _set_of(
    "very so really absolutely truly honestly such extremely totally incredibly utterly"
)
DIMINISHERS = _set_of("slightly somewhat bit little fairly rather mildly")
NEGATIONS = _set_of("not never no hardly without nothing neither nor barely lacks lack cannot none")
FUNCTION_WORDS = _set_of(
    """
    a about after all also am an and any are as at be been being by can could did do does
    for from had has have he her here him his how i if in into is it its it's i'm i've just
    me more my of on one or our out over she some than that the their them then there these
    they this those to too us was we were what when where which while who whole why will
    with would you your at
    """
)
# Sentences whose mood no single word tells.
PHRASES = (
    ("I like it", 0.7),
    ("I don't like it", -0.8),
    ("would not recommend", -0.8),
    ("could not stop listening", 0.8),
    ("couldn't stop watching", 0.8),
    ("fell asleep", -0.7),
    ("turned it off", -0.7),
    ("skip it", -0.6),
    ("on repeat", 0.8),
    ("waste of time", -0.9),
    ("a must see", 0.8),
)
