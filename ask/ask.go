// Package ask answers a question: it keeps the conversation, writes the prompt and streams what a worker's model says.
package ask
