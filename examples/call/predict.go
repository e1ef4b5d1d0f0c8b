// A prediction from Go, with only its standard library: go run examples/call/predict.go localhost:8081 pets cat.jpg
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type answer struct {
	Detail      string // of a problem
	Predictions []struct {
		Labels []struct {
			Label       string
			Probability float64
		}
	}
}

func main() {
	server, model, path := os.Args[1], os.Args[2], os.Args[3]
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Post("http://"+server+"/v1/models/"+model+":predict?top_k=1", "application/octet-stream", file)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var got answer
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		log.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		log.Fatal(got.Detail)
	}
	best := got.Predictions[0].Labels[0]
	fmt.Printf("%s %.3f\n", best.Label, best.Probability)
}
