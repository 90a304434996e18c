"""What the demo's pictures are said to show. Pool, trusted pairs and evaluation set have three different sets of templates."""

import random
from typing import NamedTuple

from pipelines.demo.scenes import COLOURS, OBJECTS, RELATIONS, SHAPES, Scene

COUNT_WORDS = ("one", "two", "three", "four")
_GROUNDS = tuple(f"a {kind} backdrop" for kind in ("plain light", "dark", "shaded", "grainy", "striped", "checked"))


class Templates(NamedTuple):
    """English caption templates: `{t}` what is seen, `{g}` what it lies on, `{a}` and `{b}` the two things of a relation."""

    counts: tuple[str, ...]
    relations: tuple[str, ...]
    sides: tuple[str, ...]


POOL = Templates(
    counts=(
        "{t} drawn on {g}",
        "picture with {t} against {g}",
        "we found {t} in this old drawing",
        "wall print with {t} for the kids room",
        "my little sketch of {t} from last summer",
        "here you can see {t} over {g}",
        "{t} and {g}, made by hand",
        "card for the classroom with {t}",
        "{t} painted during the holidays",
        "this is how {t} should look on {g}",
    ),
    relations=(
        "{a} {s} {b} on {g}",
        "drawing where {a} sits {s} {b}",
        "wall print with {a} {s} {b}",
        "look how {a} was put {s} {b}",
        "{a} placed {s} {b}, made by hand",
    ),
    sides=("to the left of", "to the right of", "above", "below"),
)
TRUSTED = Templates(
    counts=(
        "an illustration containing {t}",
        "{t} shown clearly",
        "a clean rendering of {t}",
        "the graphic depicts {t} and nothing else",
        "a diagram that presents {t}",
    ),
    relations=("the graphic depicts {a} {s} {b}", "an illustration containing {a} {s} {b}", "a diagram that presents {a} {s} {b}"),
    sides=("left of", "right of", "above", "below"),
)
EVALUATION = Templates(
    counts=("a photo of {t}", "an image that shows {t}", "a view of {t}"),
    relations=("a photo of {a} {s} {b}", "an image that shows {a} {s} {b}", "a view of {a} {s} {b}"),
    sides=RELATIONS,
)

BOILERPLATE = (
    "Click to enlarge",
    "Image not available at the moment",
    "Free shipping on all orders over $50, order today",
    "Buy it now at the best price guaranteed, limited time offer",
    "stock vector royalty free download preview",
    "Untitled design",
    "Add to wishlist or compare with other products",
    "Follow us on social media for more updates and news",
    "Sign up to our newsletter and save ten percent on your next purchase",
    "thumbnail",
    "Logo",
    "View full size picture in the gallery",
    "Share this on your timeline or send it to a friend",
    "Posted by admin in uncategorized, no comments yet",
    "You need to enable scripts to view this content",
    "Product details, reviews and delivery information below",
)
FILE_NAMES = ("IMG_{n:06d}.JPG", "DSC{n:05d}", "screenshot {n}", "scan-{n}-final-v2.png", "article {n} item {m} large", "preview id {n}")


class Tongue(NamedTuple):
    """One language's words. Templates use `{n}` `{o}` `{c}`, and for relations `{o}` `{c}` `{s}` `{p}` `{d}` (second thing, its colour)."""

    counts: tuple[str, ...]
    relations: tuple[str, ...]
    numbers: tuple[str, ...]
    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    digit: str
    sides: tuple[str, ...]


FOREIGN = {
    "de": Tongue(
        (
            "Das Bild zeigt {n} Mal das Zeichen {o} in der Farbe {c}",
            "Zeichnung für Kinder: {o} in {c}, Anzahl {n}",
            "{n} Mal {o} in {c} auf hellem Papier gemalt",
        ),
        ("Auf dem Bild liegt {o} in {c} {s} {p} in {d}", "{o} in {c} befindet sich {s} {p} in {d}"),
        ("ein", "zwei", "drei", "vier"),
        ("Rot", "Grün", "Blau", "Gelb", "Lila", "Orange", "Rosa", "Braun"),
        ("Kreis", "Quadrat", "Dreieck", "Raute", "Stern", "Kreuz", "Ring", "Mondsichel", "Herz", "Pfeil"),
        "Ziffer {n}",
        ("links von", "rechts von", "über", "unter"),
    ),
    "fr": Tongue(
        (
            "Une image avec {n} fois la forme {o} de couleur {c}",
            "Dessin pour les enfants : {o} en {c}, nombre {n}",
            "Voici {n} fois {o} en {c} sur du papier clair",
        ),
        ("Sur cette image {o} en {c} se trouve {s} {p} en {d}", "{o} de couleur {c} placé {s} {p} de couleur {d}"),
        ("une", "deux", "trois", "quatre"),
        ("rouge", "vert", "bleu", "jaune", "violet", "orange", "rose", "marron"),
        ("cercle", "carré", "triangle", "losange", "étoile", "croix", "anneau", "croissant", "cœur", "flèche"),
        "chiffre {n}",
        ("à gauche de", "à droite de", "au-dessus de", "en dessous de"),
    ),
    "es": Tongue(
        (
            "Una imagen con {n} veces la figura {o} de color {c}",
            "Dibujo para los niños: {o} de color {c}, cantidad {n}",
            "Aquí se ve {n} veces {o} en {c} sobre papel claro",
        ),
        ("En la imagen {o} de color {c} está {s} {p} de color {d}", "{o} en {c} colocado {s} {p} en {d}"),
        ("una", "dos", "tres", "cuatro"),
        ("rojo", "verde", "azul", "amarillo", "morado", "naranja", "rosado", "marrón"),
        ("círculo", "cuadrado", "triángulo", "rombo", "estrella", "cruz", "anillo", "media luna", "corazón", "flecha"),
        "número {n}",
        ("a la izquierda de", "a la derecha de", "encima de", "debajo de"),
    ),
    "ko": Tongue(
        (
            "{c} {o} {n} 개가 있는 그림입니다",
            "아이들을 위한 그림: {c} {o} {n} 개",
            "밝은 종이에 그린 {c} {o} {n} 개",
        ),
        ("{c} {o} 모양이 {d} {p} {s} 있는 그림", "{d} {p} {s} 놓인 {c} {o} 모양입니다"),
        ("한", "두", "세", "네"),
        ("빨간색", "초록색", "파란색", "노란색", "보라색", "주황색", "분홍색", "갈색"),
        ("동그라미", "네모", "세모", "마름모", "별", "십자가", "고리", "초승달", "하트", "화살표"),
        "숫자 {n}",
        ("왼쪽에", "오른쪽에", "위에", "아래에"),
    ),
    "zh": Tongue(
        (
            "这张图片里有{n}个{c}的{o}",
            "给孩子们的图画:{n}个{c}{o}",
            "浅色的纸上画着{n}个{c}的{o}",
        ),
        ("图中{c}的{o}在{d}的{p}的{s}", "{c}{o}放在{d}{p}的{s},这是一幅图画"),
        ("一", "两", "三", "四"),
        ("红色", "绿色", "蓝色", "黄色", "紫色", "橙色", "粉色", "棕色"),
        ("圆形", "正方形", "三角形", "菱形", "星星", "十字", "圆环", "月牙", "爱心", "箭头"),
        "数字{n}",
        ("左边", "右边", "上面", "下面"),
    ),
    "ru": Tongue(
        (
            "На картинке {n} раза фигура {o}, цвет {c}",
            "Рисунок для детей: {o}, цвет {c}, количество {n}",
            "Здесь нарисовано {n} раза {o}, {c} на светлой бумаге",
        ),
        ("На картинке {o}, цвет {c}, находится {s} фигуры {p}, цвет {d}", "{o} ({c}) расположен {s} фигуры {p} ({d})"),
        ("один", "два", "три", "четыре"),
        ("красный", "зелёный", "синий", "жёлтый", "фиолетовый", "оранжевый", "розовый", "коричневый"),
        ("круг", "квадрат", "треугольник", "ромб", "звезда", "крест", "кольцо", "полумесяц", "сердце", "стрелка"),
        "цифра {n}",
        ("слева от", "справа от", "выше", "ниже"),
    ),
}


def english(scene: Scene, templates: Templates, rng: random.Random) -> str:
    """A true English caption."""
    first = _phrase(scene.thing, scene.colour, scene.number, rng)
    ground = _GROUNDS[scene.background]
    if scene.relation is None:
        return rng.choice(templates.counts).format(t=first, g=ground)
    second = _phrase(scene.other, scene.other_colour, 1, rng)
    return rng.choice(templates.relations).format(a=first, s=templates.sides[scene.relation], b=second, g=ground)


def foreign(scene: Scene, language: str, rng: random.Random) -> str:
    """A true caption in another language."""
    words = FOREIGN[language]
    first, colour = _foreign_thing(words, scene.thing), words.colours[scene.colour]
    if scene.relation is None:
        return rng.choice(words.counts).format(n=words.numbers[scene.number - 1], o=first, c=colour)
    second, other = _foreign_thing(words, scene.other), words.colours[scene.other_colour]
    return rng.choice(words.relations).format(o=first, c=colour, s=words.sides[scene.relation], p=second, d=other)


def boilerplate(rng: random.Random) -> str:
    """A caption that says nothing about the picture: a page's phrase, or a file name."""
    if rng.random() < 0.7:
        return rng.choice(BOILERPLATE)
    return rng.choice(FILE_NAMES).format(n=rng.randrange(99999), m=rng.randrange(99))


def plural(thing: int) -> str:
    """The English name of several things."""
    name = OBJECTS[thing]
    return f"{name}es" if name.endswith("s") else f"{name}s"


def _phrase(thing: int, colour: int, count: int, rng: random.Random) -> str:
    adjective = COLOURS[colour]
    if count > 1:
        return f"{COUNT_WORDS[count - 1]} {adjective} {plural(thing)}"
    article = "one" if rng.random() < 0.4 else "an" if adjective == "orange" else "a"
    return f"{article} {adjective} {OBJECTS[thing]}"


def _foreign_thing(words: Tongue, thing: int) -> str:
    return words.shapes[thing] if thing < len(SHAPES) else words.digit.format(n=thing - len(SHAPES))
