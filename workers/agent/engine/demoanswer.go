package engine

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"potluck/workers/protocol"
)

// demoTexts is what the demonstration says in one language.
type demoTexts struct {
	words    []string // by which a question is known to be in this language; lower case
	what     string
	empty    string
	one      string // %s is what arrived
	many     string // %d words (in Japanese: characters), %s is what arrived
	turn     string // %d
	real     string
	forReal  string
	sentence string // what stands between two sentences
}

var demoSays = map[string]demoTexts{
	"en": {
		words:    strings.Fields("the a an is are was do does did how what why who where when which can could you i my me to of in and for please write tell with"),
		what:     "This is Potluck's demonstration engine, not a language model, so I cannot really answer you.",
		empty:    "Your message had no text.",
		one:      "What arrived here is one word: “%s”.",
		many:     "What arrived here is a message of %d words: “%s”.",
		turn:     "It is message %d of our conversation; the earlier ones came along, as they would to a real model.",
		real:     "Everything around this text is real: your message went through the queue, a worker took it, and its words come back one by one while you read. You can press Stop at any moment and the worker stops.",
		forReal:  "For real answers, start an inference program with a model (Ollama, llama-server, …) on a machine that is linked: its worker finds it by itself, within a minute. A machine that is not linked yet gets its join string from /worker link.",
		sentence: " ",
	},
	"es": {
		words:    strings.Fields("el la los las un una es son era cómo como qué que por quién dónde cuándo cuál puedo puedes tú yo mi me de del en y para con escribe dime está hay"),
		what:     "Soy el motor de demostración de Potluck, no un modelo de lenguaje, así que no puedo responderte de verdad.",
		empty:    "Tu mensaje no tenía texto.",
		one:      "Lo que ha llegado es una palabra: «%s».",
		many:     "Lo que ha llegado es un mensaje de %d palabras: «%s».",
		turn:     "Es el mensaje %d de nuestra conversación; los anteriores han venido con él, como le llegarían a un modelo real.",
		real:     "Todo lo que rodea a este texto es real: tu mensaje pasó por la cola, una máquina lo tomó y sus palabras vuelven una a una mientras lees. Puedes pulsar Detener en cualquier momento y la máquina para.",
		forReal:  "Para tener respuestas de verdad, inicia un programa de inferencia con un modelo (Ollama, llama-server, …) en una máquina vinculada: su worker lo encuentra solo, en menos de un minuto. Una máquina sin vincular recibe su cadena de acceso con /worker link.",
		sentence: " ",
	},
	"de": {
		words:    strings.Fields("der die das ein eine einen ist sind war wie was warum wieso wer wo wann welche welcher kann kannst du ich mein mir mich zu von im in und für bitte schreib schreibe erzähl mit nicht den dem es gibt"),
		what:     "Das ist die Vorführung von Potluck und kein Sprachmodell, darum kann ich dir nicht wirklich antworten.",
		empty:    "Deine Nachricht hatte keinen Text.",
		one:      "Angekommen ist ein Wort: „%s“.",
		many:     "Angekommen ist eine Nachricht mit %d Wörtern: „%s“.",
		turn:     "Es ist die Nachricht Nummer %d in unserem Gespräch; die früheren kamen mit, wie bei einem echten Modell.",
		real:     "Alles um diesen Text herum ist echt: Deine Nachricht stand in der Schlange, ein Rechner hat sie übernommen, und seine Wörter kommen eins nach dem anderen zurück, während du liest. Du kannst jederzeit Stopp drücken, dann hört der Rechner auf.",
		forReal:  "Für echte Antworten starte auf einem verbundenen Rechner ein Inferenzprogramm mit einem Modell (Ollama, llama-server, …): Der Worker findet es von selbst, innerhalb einer Minute. Für einen Rechner, der noch nicht verbunden ist, gibt /worker link die Verbindungszeile aus.",
		sentence: " ",
	},
	"ja": {
		what:    "これは Potluck のデモ用エンジンで、言語モデルではないため、本当の回答はできません。",
		empty:   "メッセージに文章がありませんでした。",
		one:     "届いたのは「%s」の 1 文字です。",
		many:    "届いたのは %d 文字のメッセージ「%s」です。",
		turn:    "この会話の %d 番目のメッセージで、それまでのメッセージも、本物のモデルの場合と同じように一緒に届いています。",
		real:    "この文章のほかは、すべて本物です。メッセージは待ち列を通り、マシンが引き受け、言葉は読んでいるそばから少しずつ返ってきます。「停止」を押すと、マシンはいつでも止まります。",
		forReal: "本当の回答には、つないだマシンで、モデルのある推論プログラム（Ollama、llama-server など）を起動してください。ワーカーが 1 分以内に自動で見つけます。まだつないでいないマシンの接続用の文字列は /worker link で受け取れます。",
	},
}

// demoLanguage guesses the language of a question from its script and its commonest words; English when nothing tells.
func demoLanguage(question string) string {
	if strings.ContainsFunc(question, func(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) }) {
		return "ja"
	}
	found := map[string]int{}
	for _, word := range strings.FieldsFunc(strings.ToLower(question), func(r rune) bool { return !unicode.IsLetter(r) }) {
		for lang, says := range demoSays {
			for _, known := range says.words {
				if word == known {
					found[lang]++
				}
			}
		}
	}
	best := "en"
	for _, lang := range []string{"de", "es"} {
		if found[lang] > found[best] {
			best = lang
		}
	}
	return best
}

// demoAnswer looks at the last question, so that a visitor sees that it arrived, and answers in its language.
func demoAnswer(messages []protocol.Message) string {
	var question string
	turns := 0
	for _, m := range messages {
		if m.Role == "user" {
			question = m.Text
			turns++
		}
	}
	question = strings.Join(strings.Fields(question), " ")
	lang := demoLanguage(question)
	says := demoSays[lang]
	size := len(strings.Fields(question))
	if lang == "ja" { // which puts no spaces between words
		size = utf8.RuneCountInString(question)
	}
	quoted := question
	if utf8.RuneCountInString(quoted) > 120 {
		quoted = string([]rune(quoted)[:120]) + "…"
	}
	first := []string{says.what}
	switch size {
	case 0:
		first = append(first, says.empty)
	case 1:
		first = append(first, fmt.Sprintf(says.one, quoted))
	default:
		first = append(first, fmt.Sprintf(says.many, size, quoted))
	}
	if turns > 1 {
		first = append(first, fmt.Sprintf(says.turn, turns))
	}
	return strings.Join([]string{strings.Join(first, says.sentence), says.real, says.forReal}, "\n\n")
}

// demoWords cuts an answer as a model's tokens would come: behind spaces, and in scripts without them behind some characters.
func demoWords(answer string) []string {
	var words []string
	begin, wide := 0, 0
	for i, r := range answer {
		end := i + utf8.RuneLen(r)
		if unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) {
			wide++
		}
		if r == ' ' || r == '、' || r == '。' || wide == 3 {
			words = append(words, answer[begin:end])
			begin, wide = end, 0
		}
	}
	return append(words, answer[begin:])
}
