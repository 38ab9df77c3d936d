// Package bot is the chat core: events in, commands and replies out, without any platform in it.
package bot

import (
	"context"
	"errors"
	"time"

	"potluck/community"
)

// Event is one thing that happened on a platform.
type Event struct {
	// ID is the platform's own id of the event with the platform in front, unique for ever: a second delivery is ignored.
	ID   string
	Kind EventKind
	At   time.Time
	Chat community.Chat
	// User is who caused it; Name is how the platform shows that person, Locale what the platform tells of the language (BCP 47, may be empty).
	User    community.UserID
	Name    string
	Locale  string
	Role    community.Role // in this community, as the platform tells; the Router adds Operator
	FromBot bool           // by a bot or webhook: never answered

	Message community.MessageID // new, edited, pressed on
	Deleted []community.MessageID
	ReplyTo community.MessageID
	// Answers is the request whose answer ReplyTo is; the Router finds it before it asks the Listeners.
	Answers string
	Text    Text
	Carried []Carried        // what a message brings besides its text
	Action  string           // ActionPressed: the button's id
	MovedTo community.ChatID // ChatMigrated
	// Command is set when the platform parsed a command by itself (a Discord interaction); otherwise the Router parses Text.
	Command *Parsed
	// Handle is what the platform needs to answer this very event later, also after a restart (an interaction token, say).
	Handle string
	// Household names, for one day, those who use free credits that many share together with User, and tells nobody who that is; empty: they are not counted.
	Household string
	// Private is set when only User can see what this event is about (the message, or the one with the button): so is the answer then.
	Private bool
	// Whisper makes the answer to this event one that only User sees, and tells whether that is possible yet; nil: it never is. The Router
	// calls it when it refuses something, before its Handle returns or, of what is found wrong by the run, before the first Send.
	Whisper func() bool
}

// Carried is something besides text that came with a message. Which fields are set depends on its kind.
type Carried struct {
	Kind CarriedKind
	Name string // file name, name of a sticker, question of a poll
	Text Text   // of what was forwarded; a line for each answer of a poll
	URL  string // http or https; it may expire
	Type string // MIME type
	Size int    // bytes
}

// CarriedKind says what a Carried is, and so which of its fields a platform fills in.
type CarriedKind string

const (
	CarriedFile    CarriedKind = "file"    // Name, Type, Size: a document, a picture, a film; URL where the platform tells it
	CarriedVoice   CarriedKind = "voice"   // as a file: something spoken, or a film of somebody who speaks
	CarriedSticker CarriedKind = "sticker" // Name: as its platform calls it
	CarriedPoll    CarriedKind = "poll"    // Name: the question; Text: its answers
	CarriedForward CarriedKind = "forward" // Name: whom it is from; Text: what was forwarded. Each where the platform tells it
	CarriedPlace   CarriedKind = "place"   // URL: a map; Name and Text say what is there
)

// EventKind says what happened, and so which fields of an Event are set besides ID, Kind, At and Chat.
type EventKind string

const (
	MessageNew      EventKind = "message_new"      // somebody wrote, or used a command: User, Message, ReplyTo, Text, Carried, Command, Handle
	MessageEdited   EventKind = "message_edited"   // as MessageNew, with what the message says now
	MessagesDeleted EventKind = "messages_deleted" // Deleted; no platform tells by whom
	Reaction        EventKind = "reaction"         // User put the emoji in Text on Message
	ActionPressed   EventKind = "action_pressed"   // User pressed the button Action on Message: Handle
	ChatMigrated    EventKind = "chat_migrated"    // what was Chat is MovedTo now, with all that belongs to it
	Joined          EventKind = "joined"           // the bot came into Chat.Community
	Left            EventKind = "left"             // the bot is there no more
)

// Handler takes a platform's events, those of one chat one after the other. It returns once the event is safe (kept, or of no interest), so that the platform may acknowledge it.
type Handler func(ctx context.Context, e Event) error

// ErrIgnored is in the chain of a Handler's error when an event with a Handle was understood and will never be answered (its user is
// blocked): it is not to be handed over again.
var ErrIgnored = errors.New("nobody answers this event")

// ErrRejected is in the chain of an error of Platform.Send or Edit when the platform will never take this message, however often it is
// tried (a picture that it refuses, say). The Router then tells that instead.
var ErrRejected = errors.New("the platform rejects this message")

// ErrDeleted is in the chain of an error of Platform.Send or Edit, beside fault.Gone, when a platform is sure that somebody took a message of this
// answer away: nothing is to take its place. What only cannot be changed any more is fault.Gone alone, and is sent anew.
var ErrDeleted = errors.New("somebody deleted this message")

// Platform is one chat platform. Errors of Send and Edit that carry fault.Gone say that the message to edit is no longer there (see ErrDeleted), those
// with fault.Forbidden that the bot may not write in this chat, and ErrRejected see there; after any other error a final is tried again.
type Platform interface {
	Name() string
	// Run connects and hands events to h until ctx ends; when it returns, its goroutines are gone.
	Run(ctx context.Context, h Handler) error
	// Send posts a message, split into parts where the platform needs it, and returns the ids of all parts in order.
	// With the same Nonce, sending again returns the first ids where the platform can do that.
	Send(ctx context.Context, m Outgoing) ([]community.MessageID, error)
	// Edit makes the parts show m; it may change their number and returns the ids that are there now. Showing what is shown already is no error.
	Edit(ctx context.Context, parts []community.MessageID, m Outgoing) ([]community.MessageID, error)
	Delete(ctx context.Context, chat community.ChatID, parts []community.MessageID) error
}

// Pacer is a Platform that says how far apart edits of one growing message shall be now; it is asked after each edit.
type Pacer interface{ Pace() time.Duration }

// Speaker is a Platform on which the bot can speak under somebody else's name. Where it may not, the message comes from the bot itself with
// a line that names the author.
type Speaker interface {
	// Speak posts m as Platform.Send does.
	Speak(ctx context.Context, m Outgoing, as Author) ([]community.MessageID, error)
	// EditSpoken and DeleteSpoken change what Speak posted, as Platform.Edit and Delete do.
	EditSpoken(ctx context.Context, parts []community.MessageID, m Outgoing, as Author) ([]community.MessageID, error)
	DeleteSpoken(ctx context.Context, chat community.ChatID, parts []community.MessageID) error
}

// Whisperer is a Platform that can show a message in a chat to one person only, without a trace for the others. What is refused to one person is
// then shown to that person only.
type Whisperer interface{ Whispers() bool }

// Selfish is a Platform that knows the bot's own account there; empty while it does not.
type Selfish interface{ Self() community.UserID }

// IsSelf tells whether an identity is the bot's own.
func (in *Invocation) IsSelf(user community.UserID) bool {
	p, ok := in.Reply.platform.(Selfish)
	return ok && user != "" && p.Self() == user
}

// Inspector is a Platform that can tell what keeps the bot from working in a community.
type Inspector interface {
	Inspect(ctx context.Context, c community.CommunityID) ([]Lack, error)
}

// Lack is what the bot misses in one chat, in the words of the platform's own settings.
type Lack struct {
	Chat   string // its name; empty: everywhere
	Rights []string
}

// Author is under whose name a message is shown.
type Author struct {
	Name   string // as people see it; a platform makes it one that it takes
	Avatar string // https address of a picture, may be empty
}

// Outgoing is a message that the bot posts. Nothing in it can ping anyone.
type Outgoing struct {
	Chat     community.ChatID
	ReplyTo  community.MessageID
	Only     community.UserID // not empty: visible to this person only
	Text     Text
	Pictures []Picture
	Buttons  []Button
	// Final tells that no edit will follow by itself: progress may be dropped by a platform under pressure, a final never.
	Final bool
	// Status tells that Text only says how the work goes, see Reply.Status.
	Status bool
	// Asks: see Reply.Asks. It is never dropped, although it is no final.
	Asks   bool
	Nonce  string // at most 25 characters
	Handle string // Event.Handle of the event that this answers
}

// Picture is a picture that the server itself encoded.
type Picture struct {
	Name    string // file name made by the server: "<hash>.png"
	Data    []byte // PNG or JPEG
	Alt     string
	Width   int
	Height  int
	Spoiler bool
}

// Button is pressed by people; ID is the random id of its Action in the database.
type Button struct {
	ID    string
	Label string
	Style ButtonStyle
	// Only may press it, besides moderators; empty: everybody. A platform that can hides it from the others.
	Only community.UserID `json:",omitempty"`
}

// ButtonStyle says how much a button stands out. A platform without colours leaves it out.
type ButtonStyle string

const (
	Secondary ButtonStyle = ""        // one way among others
	Primary   ButtonStyle = "primary" // what most people want next
	Danger    ButtonStyle = "danger"  // it ends or takes away something
)

// Action is what a button does, kept so that it works after a restart and 30 days later.
type Action struct {
	ID      string             // random, 16 characters of base32
	Name    string             // finds the ActionHandler: "stop", "regenerate"
	Request string             // the request whose reply carries the button
	Data    []byte             // what the handler needs; sealed in the database
	Owner   community.MemberID // who may press it besides moderators; 0 = everybody
	Expires time.Time
}

// RequestState says how far a request is.
type RequestState string

const (
	Accepted  RequestState = "accepted"  // saved; its command runs, or runs again after a restart
	Stopped   RequestState = "stopped"   // its Stop was pressed; the final answer is still to be shown
	Withdrawn RequestState = "withdrawn" // what asked was deleted, or its answer, or it ended in silence: it is stopped, and nothing of it is to stay
	Delivered RequestState = "delivered" // the final answer is out
)

// Request is one accepted wish: the row that survives a kill.
type Request struct {
	ID      string // random, 16 characters of base32; prefix of the keys of its jobs
	Event   string // Event.ID, unique
	Chat    community.Chat
	User    community.UserID
	Member  community.MemberID
	Name    string
	Locale  string // the reader's language when it was accepted
	Role    community.Role
	Command string              // "imagine" or "worker link", or the name of a Listener or an Action
	Args    []byte              // JSON: a command's or Listener's Parsed (see Parsed()), or the Action; sealed in the database
	Source  community.MessageID // the message that asks
	ReplyTo community.MessageID // what that message replies to
	Handle  string              // sealed in the database
	Private bool                // the answer is for the asker only
	// Household is Event.Household; it is forgotten once the answer is out.
	Household string
	Reply     []community.MessageID // the placeholder's parts, once sent
	State     RequestState
	Created   time.Time
}

// Store keeps requests, actions and what the bot sent. Every method is one durable transaction.
type Store interface {
	// Accept saves a new request; ok is false when its Event is known already.
	Accept(ctx context.Context, r Request) (ok bool, err error)
	// SetReply remembers the placeholder's parts; SetState moves on: never back from Delivered, nor
	// from Withdrawn but to Delivered.
	SetReply(ctx context.Context, id string, parts []community.MessageID) error
	SetState(ctx context.Context, id string, s RequestState) error
	// CountStart adds by to how often a process took the request up again without getting through, and returns the sum.
	CountStart(ctx context.Context, id string, by int) (starts int, err error)
	Request(ctx context.Context, id string) (r Request, ok bool, err error)
	// Asked lists what one message asked for, oldest first: its command, and buttons that did it once more.
	Asked(ctx context.Context, chat community.ChatID, m community.MessageID) ([]Request, error)
	// Unfinished lists every request that is not delivered, oldest first. One whose arguments cannot be read any more has none.
	Unfinished(ctx context.Context) ([]Request, error)
	SaveActions(ctx context.Context, actions []Action) error
	Action(ctx context.Context, id string) (a Action, ok bool, err error)
	// DropActions forgets the buttons of a request (all, when names is empty).
	DropActions(ctx context.Context, request string, names ...string) error
	// Sent remembers which request a message of the bot answers; RequestOf finds it (a reply to an answer continues its conversation).
	Sent(ctx context.Context, chat community.ChatID, parts []community.MessageID, request string, now time.Time) error
	RequestOf(ctx context.Context, chat community.ChatID, m community.MessageID) (request string, ok bool, err error)
	// Forget deletes what is older than before: delivered requests, expired actions, sent messages.
	Forget(ctx context.Context, before time.Time) error
}

// People finds who and where an event is from.
type People interface {
	// Chat returns the chat with c.ID, making it (and its community) when it is new and updating what changed.
	Chat(ctx context.Context, c community.Chat) (community.Chat, error)
	// Member returns the owner of the identity, making both when they are new and updating the shown name.
	Member(ctx context.Context, identity community.UserID, name string, now time.Time) (community.Member, error)
	MemberByID(ctx context.Context, id community.MemberID) (community.Member, error)
}

// Eraser forgets the payload and results of a delivered request's jobs. *workers.Pool implements it.
type Eraser interface {
	Erase(ctx context.Context, request string) error
}
