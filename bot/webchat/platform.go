package webchat

import (
	"context"
	"fmt"
	"slices"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

var _ bot.Platform = (*Page)(nil)

// Name is "page", which stands in front of all its ids.
func (p *Page) Name() string { return "page" }

// Community is the one community of the page.
func (p *Page) Community() community.CommunityID {
	return community.CommunityID("page:" + p.config.Name)
}

// Chats lists the chats of the page, the one that opens first in front. Their Row is 0: the database fills it in.
func (p *Page) Chats() []community.Chat {
	chats := make([]community.Chat, 0, len(p.config.Chats))
	for _, name := range p.config.Chats {
		chats = append(chats, p.chat(name))
	}
	return chats
}

func (p *Page) chat(name string) community.Chat {
	return community.Chat{ID: community.ChatID("page:" + name), Community: p.Community(), Name: name}
}

// Send posts m as one message (the page splits nothing). Sending again with the same Nonce returns the first message's id and changes nothing.
func (p *Page) Send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	chat, err := p.localChat(m.Chat)
	if err != nil {
		return nil, fmt.Errorf("send to the page: %w", err)
	}
	id := newMessageID()
	images, err := p.keep(id, m)
	if err != nil {
		return nil, fmt.Errorf("send to the page: %w", err)
	}
	message := Message{
		ID: id, Chat: chat, Author: p.config.Title, Only: m.Only, Text: m.Text, Images: images, Buttons: m.Buttons,
		Final: m.Final, Asks: m.Asks, ReplyTo: m.ReplyTo, Nonce: m.Nonce, At: p.config.Now(),
	}
	posted, err := p.post(ctx, message)
	if err != nil {
		return nil, fmt.Errorf("send to the page: %w", err)
	}
	p.spent(ctx, message)
	return []community.MessageID{posted}, nil
}

// Edit makes the message show m. Who sees it and what it replies to stay as they were sent. A message that is gone is fault.Gone. What is
// final is saved when Edit returns; the words of an answer that still grows are shown at once and saved within saveEvery.
func (p *Page) Edit(ctx context.Context, parts []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("edit on the page: %w", fault.New(fault.Gone))
	}
	chat, err := p.localChat(m.Chat)
	if err != nil {
		return nil, fmt.Errorf("edit on the page: %w", err)
	}
	images, err := p.keep(parts[0], m)
	if err != nil {
		return nil, fmt.Errorf("edit on the page: %w", err)
	}
	lock := p.lock(parts[0])
	lock.Lock()
	defer lock.Unlock()
	if p.grow(parts[0], images, m) {
		return parts[:1:1], nil
	}
	var message Message
	found, err := p.rewrite(ctx, chat, parts[0], func(now *Message) {
		now.Text, now.Images, now.Buttons, now.Final, now.Asks = m.Text, images, m.Buttons, m.Final, m.Asks
		message = *now
	})
	if err != nil {
		return nil, fmt.Errorf("edit on the page: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("edit on the page: %w", fault.New(fault.Gone))
	}
	p.spent(ctx, message)
	return parts[:1:1], nil
}

// Whispers is true: a private message stands in its place in the chat, for one person.
func (p *Page) Whispers() bool { return true }

// Delete takes messages away, a visitor's too. One that is gone already is no error.
func (p *Page) Delete(ctx context.Context, chatID community.ChatID, parts []community.MessageID) error {
	chat, err := p.localChat(chatID)
	if err != nil {
		return fmt.Errorf("delete on the page: %w", err)
	}
	for _, id := range parts {
		p.previews.replace(id, nil)
		_, err := p.change(ctx, chat, id, func(now *Message) {
			now.Deleted, now.Final = true, true
			now.Text, now.Images, now.Buttons = bot.Text{}, nil, nil
		})
		if err != nil {
			return fmt.Errorf("delete on the page: %w", err)
		}
	}
	return nil
}

func (p *Page) localChat(id community.ChatID) (string, error) {
	name := community.Local(id)
	if community.Platform(id) != p.Name() || !slices.Contains(p.config.Chats, name) {
		return "", fmt.Errorf("no such chat: %q", id)
	}
	return name, nil
}

// keep puts the pictures of a message that is final into the picture folder, those of any other into the previews.
func (p *Page) keep(id community.MessageID, m bot.Outgoing) ([]Image, error) {
	var images []Image
	for _, pic := range m.Pictures {
		if !pictureName.MatchString(pic.Name) {
			return nil, fmt.Errorf("picture name %q is not <hash>.png or .jpg", pic.Name)
		}
		if m.Final {
			if err := p.config.Pictures.Keep(pic.Name, pic.Data); err != nil {
				return nil, fmt.Errorf("keep picture: %w", err)
			}
		}
		images = append(images, Image{Name: pic.Name, Alt: pic.Alt, Width: pic.Width, Height: pic.Height, Spoiler: pic.Spoiler})
	}
	if m.Final {
		p.previews.replace(id, nil)
	} else {
		p.previews.replace(id, m.Pictures)
	}
	return images, nil
}
