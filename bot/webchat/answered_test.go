package webchat_test

import (
	"context"
	"net/http"
	"testing"

	"potluck/bot/webchat"
	"potluck/community"
)

// A question could be changed below its answer, which then stood under words that nobody had asked.
func TestAnsweredQuestionKeepsItsText(t *testing.T) {
	var question community.MessageID
	tb := lay(t, func(c *webchat.Config) {
		c.Asked = func(_ context.Context, chat community.ChatID, m community.MessageID) (bool, error) {
			return chat == "page:lobby" && m == question, nil
		}
	})
	anna := tb.visitor("Anna")
	question = anna.says("lobby", "/ask why")
	tb.event()
	talk := anna.says("lobby", "good mornnig")
	tb.event()
	status, answer, _ := anna.post("/webchat/messages/edit", map[string]any{"chat": "lobby", "message": question, "text": "/ask what"})
	if status != http.StatusConflict || field(t, answer, "code") != "answered" {
		t.Errorf("the question: %d %s", status, answer)
	}
	if status, answer, _ := anna.post("/webchat/messages/edit", map[string]any{"chat": "lobby", "message": talk, "text": "good morning"}); status != http.StatusAccepted {
		t.Errorf("talk: %d %s", status, answer)
	}
}
