package main

import "context"

// serve runs Potluck for a community until ctx ends.
func serve(ctx context.Context, c call) error {
	h, err := build(ctx, c.config, c.log, false)
	if err != nil {
		return err
	}
	if err := h.greet(ctx, c); err != nil {
		h.close()
		return err
	}
	return h.Run(ctx)
}
