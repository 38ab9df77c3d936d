package telegram

import (
	"cmp"
	"strconv"
	"strings"

	"potluck/bot"
)

// Everything that comes from Telegram is decoded here, into as little as is needed: what Telegram adds some day is not looked at.

type rawUpdate struct {
	ID           int64        `json:"update_id"`
	Message      *rawMessage  `json:"message"`
	Edited       *rawMessage  `json:"edited_message"`
	Post         *rawMessage  `json:"channel_post"`
	EditedPost   *rawMessage  `json:"edited_channel_post"`
	Callback     *rawCallback `json:"callback_query"`
	Mine         *rawChange   `json:"my_chat_member"`
	Theirs       *rawChange   `json:"chat_member"`
	Reacted      *rawReaction `json:"message_reaction"`
	Inline       *rawInline   `json:"inline_query"`
	InlineChosen *rawChosen   `json:"chosen_inline_result"`
}

// message is the message of an update, if it is about one.
func (u rawUpdate) message() (m *rawMessage, edited bool) {
	if m = cmp.Or(u.Message, u.Post); m != nil {
		return m, false
	}
	m = cmp.Or(u.Edited, u.EditedPost)
	return m, m != nil
}

type rawUser struct {
	ID       int64  `json:"id"`
	Bot      bool   `json:"is_bot"`
	First    string `json:"first_name"`
	Last     string `json:"last_name"`
	Username string `json:"username"`
	Language string `json:"language_code"`
}

func (u rawUser) shown() string {
	return cmp.Or(strings.TrimSpace(u.First+" "+u.Last), u.Username, strconv.FormatInt(u.ID, 10))
}

type rawChat struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	Title    string `json:"title"`
	Username string `json:"username"`
	First    string `json:"first_name"`
	Last     string `json:"last_name"`
}

func (c rawChat) private() bool { return c.Type == "private" }

func (c rawChat) shown() string {
	return cmp.Or(c.Title, strings.TrimSpace(c.First+" "+c.Last), c.Username)
}

type rawEntity struct {
	Type     string  `json:"type"`
	Offset   int     `json:"offset"`
	Length   int     `json:"length"`
	URL      string  `json:"url"`
	Language string  `json:"language"`
	Emoji    string  `json:"custom_emoji_id"`
	UnixTime int64   `json:"unix_time"`
	User     rawUser `json:"user"`
}

type rawFile struct {
	Name string `json:"file_name"`
	Type string `json:"mime_type"`
	Size int    `json:"file_size"`
}

type rawMessage struct {
	ID          int         `json:"message_id"`
	Thread      int         `json:"message_thread_id"`
	From        *rawUser    `json:"from"`
	SenderChat  *rawChat    `json:"sender_chat"`
	Date        int64       `json:"date"`
	EditDate    int64       `json:"edit_date"`
	Chat        rawChat     `json:"chat"`
	InTopic     bool        `json:"is_topic_message"`
	AutoForward bool        `json:"is_automatic_forward"`
	ReplyTo     *rawMessage `json:"reply_to_message"`
	Quote       *struct {
		Text     string      `json:"text"`
		Entities []rawEntity `json:"entities"`
	} `json:"quote"`
	Album           string      `json:"media_group_id"`
	Text            string      `json:"text"`
	Entities        []rawEntity `json:"entities"`
	Caption         string      `json:"caption"`
	CaptionEntities []rawEntity `json:"caption_entities"`

	Photo []struct {
		Size int `json:"file_size"`
	} `json:"photo"`
	Document  *rawFile `json:"document"`
	Video     *rawFile `json:"video"`
	Animation *rawFile `json:"animation"`
	Audio     *rawFile `json:"audio"`
	Voice     *rawFile `json:"voice"`
	VideoNote *rawFile `json:"video_note"`
	PaidMedia *struct {
		Stars int `json:"star_count"`
	} `json:"paid_media"`
	Sticker *struct {
		Emoji string `json:"emoji"`
		Set   string `json:"set_name"`
	} `json:"sticker"`
	Poll *struct {
		Question string `json:"question"`
		Options  []struct {
			Text string `json:"text"`
		} `json:"options"`
	} `json:"poll"`
	Location *rawLocation `json:"location"`
	Venue    *struct {
		Location rawLocation `json:"location"`
		Title    string      `json:"title"`
		Address  string      `json:"address"`
	} `json:"venue"`
	Contact *struct {
		First string `json:"first_name"`
		Last  string `json:"last_name"`
	} `json:"contact"`
	Dice *struct {
		Emoji string `json:"emoji"`
		Value int    `json:"value"`
	} `json:"dice"`
	Origin *struct {
		User *rawUser `json:"sender_user"`
		Name string   `json:"sender_user_name"`
		Chat *rawChat `json:"sender_chat"`
		From *rawChat `json:"chat"`
	} `json:"forward_origin"`

	MovedTo      int64     `json:"migrate_to_chat_id"`
	MovedFrom    int64     `json:"migrate_from_chat_id"`
	TopicCreated *struct{} `json:"forum_topic_created"`
}

type rawLocation struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// content is the text or caption.
func (m *rawMessage) content() bot.Text {
	if m.Text != "" {
		return readText(m.Text, m.Entities)
	}
	return readText(m.Caption, m.CaptionEntities)
}

func (m *rawMessage) place() place {
	l := place{chat: m.Chat.ID}
	if m.InTopic {
		l.topic = m.Thread
	}
	return l
}

// replied is the message that this one answers. In a topic every message "answers" the one that opened it: that is none.
func (m *rawMessage) replied() *rawMessage {
	if r := m.ReplyTo; r != nil && r.ID != 0 && r.TopicCreated == nil && (!m.InTopic || r.ID != m.Thread) {
		return r
	}
	return nil
}

type rawCallback struct {
	ID      string      `json:"id"`
	From    rawUser     `json:"from"`
	Message *rawMessage `json:"message"`
	Inline  string      `json:"inline_message_id"`
	Data    string      `json:"data"`
}

type rawChange struct {
	Chat rawChat   `json:"chat"`
	From rawUser   `json:"from"`
	Date int64     `json:"date"`
	Old  rawStatus `json:"old_chat_member"`
	New  rawStatus `json:"new_chat_member"`
}

type rawStatus struct {
	Status string  `json:"status"`
	User   rawUser `json:"user"`
	Member bool    `json:"is_member"` // of restricted ones
}

func (s rawStatus) there() bool {
	switch s.Status {
	case "creator", "administrator", "member":
		return true
	case "restricted":
		return s.Member
	}
	return false
}

type rawReaction struct {
	Chat  rawChat           `json:"chat"`
	ID    int               `json:"message_id"`
	User  *rawUser          `json:"user"`
	Actor *rawChat          `json:"actor_chat"`
	Old   []rawReactionType `json:"old_reaction"`
	New   []rawReactionType `json:"new_reaction"`
}

type rawReactionType struct {
	Type  string `json:"type"`
	Emoji string `json:"emoji"`
}
