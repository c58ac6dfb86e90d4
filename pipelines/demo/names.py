"""What the demonstration company calls things, in English and Chinese. All of it is invented.

What belongs here: words and their translations, and how a frame is put into the Chinese ones. What does not: the
forms of files (salesforce.py, chinese.py) and the numbers (models/simulated_world.py).
"""

import pandas as pd

STAGES = {
    "first_contact": ("First Contact", "初步沟通"),
    "need_confirmed": ("Need Confirmed", "需求确认"),
    "proposal": ("Proposal", "方案展示"),
    "negotiation": ("Negotiation", "商务谈判"),
    "awaiting_signature": ("Awaiting Signature", "等待签约"),
    "won": ("Closed Won", "赢单"),
    "lost": ("Closed Lost", "输单"),
}
"""Spellings of each stage of `models.simulated_world.DEMO`, in the English and the Chinese exports."""

PROBABILITIES = {"first_contact": 10, "need_confirmed": 25, "proposal": 50, "negotiation": 70, "awaiting_signature": 90, "won": 100, "lost": 0}
"""Per cent that the CRM proposes for each stage; sellers enter others (sellers.py)."""

CATEGORIES = {
    "first_contact": "Pipeline",
    "need_confirmed": "Pipeline",
    "proposal": "Best Case",
    "negotiation": "Best Case",
    "awaiting_signature": "Commit",
    "won": "Closed",
    "lost": "Omitted",
}
"""Forecast category that the CRM gives each stage."""

CHINESE = {
    "Referral": "转介绍",
    "Website": "官网",
    "Trade Show": "展会",
    "Partner": "合作伙伴",
    "Outbound Call": "电话拓展",
    "Manufacturing": "制造业",
    "Software": "软件",
    "Healthcare": "医疗",
    "Retail": "零售",
    "Education": "教育",
    "East": "华东",
    "South": "华南",
    "North": "华北",
    "West": "西部",
    "Platform": "平台",
    "Analytics": "数据分析",
    "Services": "实施服务",
    "Competitor Price": "竞品价格",
    "Changed Needs": "需求变更",
    "No Budget": "预算不足",
    "Decision Maker Changed": "决策人变更",
    "Own Resources": "自身资源不足",
    "Shelved": "项目搁置",
    "East Team": "华东团队",
    "South Team": "华南团队",
    "North and West Team": "华北西部团队",
}
"""Values of segments, teams and loss reasons as the Chinese exports write them."""

_ID_PREFIXES = {"006": "SJ", "005": "YG", "001": "KH", "00T": "HD"}
_ID_COLUMNS = ("opportunity_id", "owner_id", "account_id", "activity_id", "member", "old_value", "new_value")

_CITIES = (
    ("Shanghai", "上海"), ("Shenzhen", "深圳"), ("Beijing", "北京"), ("Hangzhou", "杭州"), ("Suzhou", "苏州"),
    ("Guangzhou", "广州"), ("Chengdu", "成都"), ("Wuhan", "武汉"), ("Nanjing", "南京"), ("Qingdao", "青岛"),
    ("Xi'an", "西安"), ("Ningbo", "宁波"), ("Tianjin", "天津"), ("Wuxi", "无锡"), ("Foshan", "佛山"),
    ("Xiamen", "厦门"), ("Hefei", "合肥"), ("Changsha", "长沙"), ("Jinan", "济南"), ("Kunming", "昆明"),
)  # fmt: skip
_BRANDS = (
    ("Hengda", "恒达"), ("Ruifeng", "瑞丰"), ("Xinghe", "星河"), ("Botai", "博泰"), ("Yuanhang", "远航"),
    ("Jingcheng", "精诚"), ("Huarui", "华瑞"), ("Tianyu", "天宇"), ("Minghui", "明辉"), ("Dingsheng", "鼎盛"),
    ("Kaiyuan", "开元"), ("Lantian", "蓝天"), ("Zhongxin", "中信达"), ("Haina", "海纳"), ("Qingyun", "青云"),
    ("Jiahe", "嘉禾"), ("Longteng", "龙腾"), ("Shunda", "顺达"), ("Wanli", "万里"), ("Chuangzhi", "创智"),
    ("Anhe", "安和"), ("Fuyuan", "富源"), ("Taihe", "泰和"),
)  # fmt: skip
_TRADES = {
    "Manufacturing": ("Machinery", "机械有限公司"),
    "Software": ("Software", "软件有限公司"),
    "Healthcare": ("Medical", "医疗科技有限公司"),
    "Retail": ("Retail", "商贸有限公司"),
    "Education": ("Education", "教育科技有限公司"),
}
_SURNAMES = (
    ("Wang", "王"), ("Li", "李"), ("Zhang", "张"), ("Liu", "刘"), ("Chen", "陈"), ("Yang", "杨"), ("Zhao", "赵"),
    ("Huang", "黄"), ("Zhou", "周"), ("Wu", "吴"), ("Xu", "徐"), ("Sun", "孙"), ("Ma", "马"),
)  # fmt: skip
_GIVEN = (("Wei", "伟"), ("Fang", "芳"), ("Min", "敏"), ("Jing", "静"), ("Lei", "磊"), ("Yang", "洋"), ("Na", "娜"))


def in_chinese(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with the ids, segment values, teams and loss reasons of the Chinese exports for the English ones.

    Works on any frame under canonical names or of the core tables, so that what is built from the one form of
    exports can be compared with what is built from the other.
    """
    text = frame.select_dtypes(include=["str"]).columns
    ids = {column: ids_in_chinese(frame[column]) for column in text if column in _ID_COLUMNS}
    return frame.assign(**ids).replace({column: CHINESE for column in text})


def ids_in_chinese(values: pd.Series) -> pd.Series:
    """Ids as the Chinese exports write them; other text stays."""
    for prefix, chinese in _ID_PREFIXES.items():
        values = values.str.replace(rf"^{prefix}5g(\d{{10}})AAA$", rf"{chinese}\1", regex=True)
    return values


def account_names(accounts: pd.DataFrame, *, chinese: bool) -> pd.Series:
    """Names of the accounts, from their place and their industry (the English one)."""
    language = int(chinese)
    number = pd.Series(range(len(accounts)), index=accounts.index)
    city = (number // len(_BRANDS) % len(_CITIES)).map({i: words[language] for i, words in enumerate(_CITIES)})
    brand = (number % len(_BRANDS)).map({i: words[language] for i, words in enumerate(_BRANDS)})
    trade = accounts["industry"].map({industry: words[language] for industry, words in _TRADES.items()})
    return city + brand + trade if chinese else city + " " + brand + " " + trade


def people_names(count: int, *, chinese: bool) -> list[str]:
    """Names of ``count`` people."""
    pairs = [(_SURNAMES[i % len(_SURNAMES)], _GIVEN[i // len(_SURNAMES) % len(_GIVEN)]) for i in range(count)]
    return [surname[1] + given[1] if chinese else f"{given[0]} {surname[0]}" for surname, given in pairs]
