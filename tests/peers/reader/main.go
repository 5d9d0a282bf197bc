// A receiver of Alertmanager's webhook that is made of Alertmanager's own types and templates: what it cannot read, or
// cannot put into the words of a mail and of a chat, it refuses. It writes what it took to standard output, one line each.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/template"
)

const (
	title = `{{ template "slack.default.title" . }}`
	text  = `{{ range .Alerts }}{{ .Labels.alertname }} {{ .StartsAt.UTC.Year }} {{ .Annotations.summary }}{{ end }}`
	mail  = `{{ template "email.default.html" . }}`
)

type taken struct {
	Message webhook.Message `json:"message"`
	Title   string          `json:"title"`
	Text    string          `json:"text"`
	Mail    string          `json:"mail"`
}

func read(request *http.Request, words *template.Template) (taken, error) {
	var found taken
	body := json.NewDecoder(request.Body)
	body.DisallowUnknownFields()
	if err := body.Decode(&found.Message); err != nil {
		return found, err
	}
	if found.Message.Version != "4" || found.Message.Data == nil || len(found.Message.Alerts) == 0 {
		return found, fmt.Errorf("no group of alerts of version 4")
	}
	for _, alert := range found.Message.Alerts {
		if alert.StartsAt.IsZero() || alert.Fingerprint == "" || (alert.Status == "resolved") == alert.EndsAt.IsZero() {
			return found, fmt.Errorf("an alert without its times or its fingerprint: %v", alert)
		}
	}
	var err error
	if found.Title, err = words.ExecuteTextString(title, found.Message.Data); err != nil {
		return found, err
	}
	if found.Text, err = words.ExecuteTextString(text, found.Message.Data); err != nil {
		return found, err
	}
	found.Mail, err = words.ExecuteHTMLString(mail, found.Message.Data)
	return found, err
}

func main() {
	words, err := template.FromGlobs(nil)
	if err != nil {
		log.Fatal(err)
	}
	words.ExternalURL = &url.URL{Scheme: "http", Host: "reader.example"}
	lines := json.NewEncoder(os.Stdout)
	handler := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		found, err := read(request, words)
		if err != nil {
			log.Print(err)
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		if err := lines.Encode(found); err != nil {
			log.Fatal(err)
		}
	})
	log.Fatal(http.ListenAndServe(os.Args[1], handler))
}
