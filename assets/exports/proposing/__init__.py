"""What can be read off a company's exports before anybody has described them: the evidence for a first configuration.

What belongs here: pure functions over headers and tables that recognise files, columns, written forms, stages and
segments, each with the evidence that it rests on. What does not: the configuration that is written from them and the
questions that a person is asked (pipelines/proposal), and any rule about whether a row can be trusted (judge.py).
"""
