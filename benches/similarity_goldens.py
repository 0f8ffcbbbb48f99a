"""Makes golden scores of pairs of texts, as LLaMA-Factory's `ComputeSimilarity` measures them.

    pip install jieba==0.42.1 nltk rouge-chinese==1.0.3
    python benches/similarity_goldens.py > engine/tests/goldens/text/similarity.json
"""

import json
import sys

import jieba
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_chinese import Rouge

PAIRS = [
    ("他来到了网易杭研大厦办公。", "小明硕士毕业于中国科学院计算所，后在日本京都大学深造。"),
    ("乒乓球拍卖完了！真的吗？是的。", "乒乓球拍卖会结束了吗？“没有。”他说，还有很多……很多。"),
    ("工信处女干事每月经过下属科室都要亲口交代24口交换机等技术性器件的安装工作", "工信处的女干事每月检查24台交换机。"),
    ("我們在臺灣學習機器翻譯與自然語言處理。", "我们在台湾学习机器翻译和自然语言处理。"),
    ("价格是3.14元，折扣为50%，编号A-12_b#3&c++。", "价格为3.15元，折扣50%。编号A-12_b#4&C++。"),
    ("第一行\n第二行\r\n\n第三行\t末尾 ", " 第一行 第二行\n第三行"),
    ("……完了......没有？“好！”他说。", "……完了。没有？“好！”，他说......"),
    ("Émile Zola naïvement déjà-vu", "Emile Zola naivement deja vu"),
    ("😀 好的😀没问题👍🏽", "😀好的，没问题👍"),
    ("Привет, мир! こんにちは世界 안녕하세요", "Привет мир. こんにちは、世界！안녕"),
    ("def f(x):\n    return x ** 2 + 1  # square", "def f(x):\n    return x*x + 1"),
    ("\u3000全角　空格\u00a0与\u2003其他空白\u0085换行", "全角 空格 与 其他 空白 换行"),
    ("韩玉赏鉴在北京大学生前来应聘，张三李四王二麻子都来了。", "北京大学生活动中心里，王二麻子见到了韩玉。"),
    ("我喜欢吃苹果和香蕉，但是不喜欢吃榴莲，因为味道太重了。", "他喜欢苹果，不喜欢榴莲，因为榴莲味道重。"),
    ("a", "a b c d e f g h"),
    ("one two three. four five six. seven", "seven six five. four three two. one"),
    ("x" * 300, "x" * 200 + "y" * 100),
    ("今天天气真好今天天气真好今天天气真好", "今天天气真好"),
    ("\u4e00\u9fd5\u9fff\u3400", "\u4e00\u9fd5\u3400"),
    ("http://example.com/a?b=c&d=1.5 v1.2.3-rc4 10:30 2024-05-06", "example.com v1.2.3 10:31 2024/05/06"),
]


def scores(prediction, label):
    hypothesis, reference = list(jieba.cut(prediction)), list(jieba.cut(label))
    if not " ".join(hypothesis).split() or not " ".join(reference).split():
        result = {name: {"f": 0.0} for name in ("rouge-1", "rouge-2", "rouge-l")}
    else:
        result = Rouge().get_scores(" ".join(hypothesis), " ".join(reference))[0]
    found = {name: round(score["f"] * 100, 4) for name, score in result.items()}
    bleu = sentence_bleu([list(label)], list(prediction), smoothing_function=SmoothingFunction().method3)
    return {**found, "bleu-4": round(bleu * 100, 4)}


def main():
    pairs = [
        {"prediction": prediction, "label": label, "scores": scores(prediction, label)}
        for prediction, label in PAIRS
    ]
    json.dump({"pairs": pairs}, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
