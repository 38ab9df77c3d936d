package storage

import (
	"maps"
	"sync"

	"potluck/community"
)

// maxCached bounds each map of the cache; a full map is emptied.
const maxCached = 50_000

// peopleCache keeps members and chats in memory: every event asks for both, and busy readers would starve the writer. It is filled by the
// writer after a commit only, so that it never holds what an overtaken read saw.
type peopleCache struct {
	mu         sync.RWMutex
	identities map[community.UserID]knownIdentity
	members    map[community.MemberID]community.Member
	chats      map[community.ChatID]community.Chat
}

type knownIdentity struct {
	member community.MemberID
	name   string
}

func (c *peopleCache) init() {
	c.identities = make(map[community.UserID]knownIdentity)
	c.members = make(map[community.MemberID]community.Member)
	c.chats = make(map[community.ChatID]community.Chat)
}

func (c *peopleCache) member(id community.MemberID) (community.Member, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m, ok := c.members[id]
	return m, ok
}

// identity returns the owner and the name that the identity was last seen with.
func (c *peopleCache) identity(id community.UserID) (m community.Member, name string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known, ok := c.identities[id]
	if !ok {
		return m, "", false
	}
	m, ok = c.members[known.member]
	return m, known.name, ok
}

func (c *peopleCache) chat(id community.ChatID) (community.Chat, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	chat, ok := c.chats[id]
	return chat, ok
}

func (c *peopleCache) putIdentity(id community.UserID, name string, m community.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.identities, id, knownIdentity{m.ID, name})
	put(c.members, m.ID, m)
}

func (c *peopleCache) putMember(m community.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.members, m.ID, m)
}

func (c *peopleCache) putChat(chat community.Chat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.chats, chat.ID, chat)
}

func (c *peopleCache) dropChat(id community.ChatID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.chats, id)
}

// forget drops a member with all identities.
func (c *peopleCache) forget(id community.MemberID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, id)
	clear(c.chats) // a private chat's id names the person
	maps.DeleteFunc(c.identities, func(_ community.UserID, known knownIdentity) bool { return known.member == id })
}

// dropMember forgets what a member is and whose identities it has; both are read anew.
func (c *peopleCache) dropMember(id community.MemberID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, id)
	maps.DeleteFunc(c.identities, func(_ community.UserID, known knownIdentity) bool { return known.member == id })
}

func put[K comparable, V any](m map[K]V, k K, v V) {
	if _, known := m[k]; !known && len(m) >= maxCached {
		clear(m)
	}
	m[k] = v
}
