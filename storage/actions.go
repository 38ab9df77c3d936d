package storage

import (
	"context"
	"database/sql"
	"errors"

	"potluck/bot"
)

const actionData = "actions.data"

// SaveActions keeps all or none. One that is there already is replaced: a request that runs again makes the same buttons.
func (s *Requests) SaveActions(ctx context.Context, actions []bot.Action) error {
	if len(actions) == 0 {
		return nil
	}
	return s.DB.write(ctx, "save actions", func(t *tx) error {
		for _, a := range actions {
			if gone, err := forgottenMember(t, a.Owner); err != nil {
				return err
			} else if gone {
				continue
			}
			_, err := t.exec(`
				INSERT INTO actions (id, name, request, data_sealed, owner, expires_ms) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (id) DO UPDATE SET
					name = excluded.name, request = excluded.request, data_sealed = excluded.data_sealed, owner = excluded.owner, expires_ms = excluded.expires_ms`,
				a.ID, a.Name, a.Request, s.DB.seal.seal(actionData, a.ID, a.Data), null(a.Owner), ms(a.Expires))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Action also returns one that expired and is not forgotten yet: the caller knows the time.
func (s *Requests) Action(ctx context.Context, id string) (a bot.Action, ok bool, err error) {
	var data []byte
	var expires int64
	err = s.DB.reads.QueryRowContext(ctx, `SELECT id, name, request, data_sealed, coalesce(`+personOf("actions.owner")+`, 0), expires_ms FROM actions WHERE id = ?`, id).
		Scan(&a.ID, &a.Name, &a.Request, &data, &a.Owner, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return bot.Action{}, false, nil
	}
	if err == nil {
		a.Expires = at(expires)
		a.Data, err = s.DB.seal.open(actionData, a.ID, data)
	}
	return a, err == nil, wrap("action", err)
}

// DropActions forgets a request's buttons of those names, or all of them when none is named.
func (s *Requests) DropActions(ctx context.Context, request string, names ...string) error {
	return s.DB.write(ctx, "drop actions", func(t *tx) error {
		if len(names) == 0 {
			_, err := t.exec(`DELETE FROM actions WHERE request = ?`, request)
			return err
		}
		for _, name := range names {
			if _, err := t.exec(`DELETE FROM actions WHERE request = ? AND name = ?`, request, name); err != nil {
				return err
			}
		}
		return nil
	})
}
