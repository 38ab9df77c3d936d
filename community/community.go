// Package community knows people and places: communities, chats, members with their identities on each platform, roles and settings.
package community

import (
	"fmt"
	"strings"
	"time"
)

type (
	// CommunityID is a Discord guild, a Telegram group or the page, with the platform in front: "discord:123", "page:potluck".
	CommunityID string
	// ChatID is a channel, thread, topic or DM, with the platform in front: "page:lobby".
	ChatID string
	// MessageID is a platform's own id of a message; unique within its chat.
	MessageID string
	// UserID is an identity on one platform, with the platform in front: "discord:123". It belongs to one Member.
	UserID string
	// MemberID is a person, who may own identities on several platforms.
	MemberID int64
)

// Platform returns what stands in front of an id's first colon.
func Platform[T ~string](id T) string {
	p, _, _ := strings.Cut(string(id), ":")
	return p
}

// Local returns what stands behind an id's first colon.
func Local[T ~string](id T) string {
	_, l, _ := strings.Cut(string(id), ":")
	return l
}

// Role says what a person may do in a community. A larger Role includes the smaller ones.
type Role int

const (
	Everyone Role = iota
	Admin         // of this community: Discord's Manage Server, a Telegram group's administrator
	Operator      // of this Potluck
)

func (r Role) String() string {
	switch r {
	case Admin:
		return "admin"
	case Operator:
		return "operator"
	default:
		return "member"
	}
}

// Chat is a place where messages stand. Row is the database's own id: tables refer to it, so that a Telegram group that migrates is one UPDATE.
type Chat struct {
	Row       int64
	ID        ChatID
	Community CommunityID
	// Private is a DM, or a channel that not everybody of the community can read: its jobs run only on workers vouched for that.
	Private       bool
	AgeRestricted bool
	Name          string
}

// Member is a person. Language is the BCP 47 tag that the person chose, empty when never chosen.
type Member struct {
	ID       MemberID
	Name     string
	Language string
	Operator bool
	Blocked  bool
	// Free is the identity whose daily free credits the person has, while several identities belong to the member; empty: each identity has its own.
	Free UserID
}

// BlockSetting names the setting by which the admins of a community keep a member from using the bot there.
func BlockSetting(m MemberID) string { return fmt.Sprint("blocked.", int64(m)) }

// Known is somebody who can be named in a chat: under that name the platform shows the person.
type Known struct {
	ID       MemberID
	Name     string
	Platform string
	Since    time.Time
}
