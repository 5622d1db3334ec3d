"""What the wording betrays: annoyance, fury, worry, threats, the wish for somebody in charge (REQ-E13).

A signal beside the intent, never instead of it. Words decide, shouting (capitals, repeated exclamation marks)
adds to what words say; two signs of annoyance together count as strong.
"""

from __future__ import annotations

import re

from bot.core.words import Emotion
from nlu.features import normalise

_FURIOUS = re.compile(
    r"气死|气炸|气疯|怒了|火大|忍无可忍|受够|够了没|没完|欺人太甚|太过分|骗子|骗人|坑人|坑爹|垃圾|狗屁|放屁"
    r"|什么破|破(?:服务|公司|东西|玩意|手机|机器|客服|平台|系统|店)"
    r"|什么玩意|他妈|妈的|tmd|尼玛|你妈|卧槽|我靠|操你|傻[逼比叉x]|sb\b|混蛋|王八|滚(?:蛋|开|吧|！|!|$)|有病吧"
    r"|脑子有|不是人|瞎了|废物|白痴|蠢[货东猪]"
    r"|无语死|恶心死|烂透|糊弄|忽悠|耍我|耍人|当我(?:是)?傻|推来推去|踢皮球|再也不(?:来|买|用|信)|黑心|无良|奇葩"
    r"|\b(?:furious|outrageous|unacceptable|disgust(?:ed|ing)|ridiculous|scam(?:mers?)?|liars?|idiots?|morons?"
    r"|stupid|useless|pathetic|bullshit|crap|damn|hell|wtf|fuck\w*"
    r"|shit\w*|garbage|rubbish|worst|(?:what|is|are|such|like|of) a joke|a disgrace|disgraceful"
    r"|sick (?:and tired )?of|had enough|fed up"
    r"|hate you|rip[- ]?off|livid|appalling|shame on)\b",
)
_ANNOYED = re.compile(
    r"生气|不满(?!意度)|失望|烦(?!请|您|你|恼)|郁闷|无语|太差|差劲|离谱|过分|搞什么|怎么搞的|怎么回事|凭什么"
    r"|到底(?:要|想|什么|怎么|几|有没有|能不能|管不管)|还不(?:来|到|修|处理|解决|回)|都几天了|多少天了|几次了"
    r"|多少次"
    r"|没人(?:理|管|接|回)|不管|不负责|敷衍|拖(?:了|拖|延|这么)|催了|磨叽|太慢|服了|着什么急|态度|受不了"
    r"|说话不算|不讲理|不耐烦|急死"
    r"|\b(?:annoy(?:ed|ing)|angry|upset|frustrat(?:ed|ing)|disappoint(?:ed|ing)|terrible|horrible|awful|poor"
    r"|bad service|rude|mad|irritat(?:ed|ing)|for god'?s sake|seriously|come on"
    r"|how many times|how much longer|still (?:no|not|waiting|nothing|nobody)|nobody (?:cares|answers|came"
    r"|called|helps)|no ?one (?:cares|answers|came|called)|waiting forever|keep(?:s)? (?:telling|saying)"
    r"|what the)\b",
)
_WORRIED = re.compile(
    r"担心|害怕|怕(?!是|冷|热|麻烦)|着急|急死|好急|很急|紧急|救命|怎么办|咋办|慌|焦虑|不放心|忧|吓|严重吗"
    r"|要不要紧|会不会(?:有事|出事|感染|复发|爆|着火|中毒|死)|危险|没事吧|睡不着"
    r"|\b(?:worr(?:ied|ying|y)|afraid|scared|anxious|nervous|panic\w*|concerned|urgent(?:ly)?|emergency"
    r"|frighten\w*|terrified|help me|what (?:should|do|can) i do|is it (?:serious|dangerous|safe)"
    r"|am i going to)\b",
)
_THREAT = re.compile(
    r"投诉你们|(?:我|就|要|去|一定|马上|现在就)(?:要|去|会)?(?:告|起诉|举报|曝光|报警|投诉)(?!知|诉|别"
    r"|一?[下声])|(?<!\d)123(?:15|45)(?!\d)|消协|消费者协会|工商局|市场监管|律师|法院|法庭|打官司|起诉|媒体|记者|电视台"
    r"|上(?:热搜|微博|抖音)|发(?:微博|抖音|朋友圈|网上|到网上)|曝光|差评|报警|派出所"
    r"|没完|走着瞧|等着瞧|后果自负|砸了|砸店|打死|弄死|杀了|找人(?:弄|打|收拾)|拉横幅|跳楼"
    r"|\b(?:sue|suing|lawyer|attorney|solicitor|court|legal action|lawsuit|police|press|journalist|newspaper"
    r"|consumer (?:council|association|rights)|ombudsman|watchdog|trading standards|report you|expose"
    r"|go(?:ing)? (?:public|viral)|bad reviews?|one[- ]star review|tell everyone|(?:you(?:'ll| will)) (?:regret"
    r"|pay for)|or else|kill|hurt you|smash|burn)\b",
)
_MANAGER = re.compile(
    r"(?:叫|找|让|喊|要|换|跟|和|见|转|给我|请|联系|反映给|投诉到)(?:一下)?(?:你们?|您们?|他们)?(?:的)?(?:那个"
    r"|店里|公司|上级)?(?:经理|主管|领导|负责人|老板|上级|店长|管事的?|组长|主任|头儿|说了?算的)|(?:经理|主管"
    r"|领导|负责人|老板|管事的?)(?:呢|在哪|出来|电话|在不在|接)"
    r"|\b(?:your|the|a|speak to|talk to|get me|put me through to|escalate to)\s+(?:\w+\s+){0,2}?(?:manager"
    r"|supervisor|boss|superior|team lead(?:er)?|person in charge|someone (?:senior|higher up|in charge))\b"
    r"|\b(?:manager|supervisor) (?:now|please)\b|\bin charge\b",
)
_SHOUTING = re.compile(r"[!！]{2,}|[?？!！]{3,}|(?:\b[A-Z]{3,}\b\W*){3,}|[😡🤬👿💢😠]")

STRONG = 2
ANNOYED = 1


def emotion(text: str) -> Emotion:
    """The emotion in `text`, in either language."""
    plain = normalise(text)
    shouting = bool(_SHOUTING.search(text[:1000]))
    furious, annoyed = len(_FURIOUS.findall(plain)), len(set(_ANNOYED.findall(plain)))
    threatening = bool(_THREAT.search(plain))
    anger = 0
    if furious or annoyed + shouting >= STRONG:
        anger = STRONG
    elif annoyed or (threatening and shouting) or "😡" in text or "🤬" in text:
        anger = ANNOYED
    return Emotion(
        anger=anger,
        worried=bool(_WORRIED.search(plain)),
        threatening=threatening,
        wants_manager=bool(_MANAGER.search(plain)),
    )
