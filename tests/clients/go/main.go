// The Go SDK, unchanged but for its endpoint: `client firehose ENDPOINT STREAM BUCKET` creates a stream, puts,
// describes, meets errors and deletes; `client lambda ENDPOINT NAME FOLDER` does a function's whole life (lambda.go).
// Ends with 0 when all was as AWS answers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// How often a stream is asked whether it is active, and the pause between.
const (
	activeTriesMax = 100
	activePause    = 100 * time.Millisecond
)

func check(truth bool, what string, seen ...any) {
	if !truth {
		fmt.Fprintf(os.Stderr, "not as AWS answers: %s: %+v\n", what, seen)
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	check(err == nil, "no error", err)
	return value
}

func active(ctx context.Context, client *firehose.Client, name string) *types.DeliveryStreamDescription {
	for range activeTriesMax {
		found := must(client.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{
			DeliveryStreamName: &name,
		})).DeliveryStreamDescription
		if found.DeliveryStreamStatus == types.DeliveryStreamStatusActive {
			return found
		}
		time.Sleep(activePause)
	}
	check(false, "the stream becomes ACTIVE", name)
	return nil
}

func describes(found *types.DeliveryStreamDescription, arn, bucketARN string) {
	check(*found.DeliveryStreamARN == arn, "ARN", *found.DeliveryStreamARN)
	check(found.DeliveryStreamType == types.DeliveryStreamTypeDirectPut, "type", found.DeliveryStreamType)
	check(*found.VersionId == "1" && !*found.HasMoreDestinations, "version", found)
	check(time.Since(*found.CreateTimestamp).Abs() < 10*time.Minute, "CreateTimestamp", found.CreateTimestamp)
	check(len(found.Destinations) == 1, "one destination", found.Destinations)
	destination := found.Destinations[0]
	check(*destination.DestinationId == "destinationId-000000000001", "DestinationId", *destination.DestinationId)
	extended := destination.ExtendedS3DestinationDescription
	check(extended != nil && extended.CompressionFormat == types.CompressionFormatZip, "compression", extended)
	check(*extended.BufferingHints.SizeInMBs == 1 && *extended.BufferingHints.IntervalInSeconds == 1,
		"buffering", extended.BufferingHints)
	check(*destination.S3DestinationDescription.BucketARN == bucketARN, "the mirror", destination)
}

func puts(ctx context.Context, client *firehose.Client, stream string) {
	one := must(client.PutRecord(ctx, &firehose.PutRecordInput{
		DeliveryStreamName: &stream, Record: &types.Record{Data: []byte("one\n")},
	}))
	check(*one.RecordId != "" && !*one.Encrypted, "PutRecord", one)
	two := must(client.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{
		DeliveryStreamName: &stream,
		Records:            []types.Record{{Data: []byte("two\n")}, {Data: []byte("ü\x00\n")}},
	}))
	check(*two.FailedPutCount == 0 && len(two.RequestResponses) == 2, "PutRecordBatch", two)
	check(*two.RequestResponses[0].RecordId != *two.RequestResponses[1].RecordId, "ids differ", two)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keys := credentials.NewStaticCredentialsProvider(
		os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "")
	endpoint, name, place := os.Args[2], os.Args[3], os.Args[4]
	if os.Args[1] == "lambda" {
		life(ctx, lambda.New(lambda.Options{
			BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: keys, RetryMaxAttempts: 1,
		}), name, place)
		return
	}
	streams(ctx, firehose.New(firehose.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: keys, RetryMaxAttempts: 1,
	}), name, place)
}

func streams(ctx context.Context, client *firehose.Client, stream, bucket string) {
	role, bucketARN := "arn:aws:iam::000000000000:role/firehose", "arn:aws:s3:::"+bucket
	hints := &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(1)}
	create := &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &stream,
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			RoleARN: &role, BucketARN: &bucketARN, BufferingHints: hints, CompressionFormat: types.CompressionFormatZip,
		},
	}
	arn := *must(client.CreateDeliveryStream(ctx, create)).DeliveryStreamARN
	check(regexp.MustCompile(`^arn:aws:firehose:[a-z0-9-]+:\d{12}:deliverystream/`+stream+`$`).MatchString(arn), "ARN", arn)
	var taken *types.ResourceInUseException
	_, err := client.CreateDeliveryStream(ctx, create)
	check(errors.As(err, &taken), "ResourceInUseException", err)

	describes(active(ctx, client, stream), arn, bucketARN)
	puts(ctx, client, stream)
	names := must(client.ListDeliveryStreams(ctx, &firehose.ListDeliveryStreamsInput{Limit: aws.Int32(10000)}))
	check(slices.Contains(names.DeliveryStreamNames, stream), "ListDeliveryStreams", names)

	var absent *types.ResourceNotFoundException
	_, err = client.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{
		DeliveryStreamName: aws.String(stream + "-absent"),
	})
	check(errors.As(err, &absent), "ResourceNotFoundException", err)
	check(absent.ErrorMessage() == "Firehose "+stream+"-absent under account 000000000000 not found.", "its text", absent)

	other := stream + "-gone"
	must(client.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &other,
		S3DestinationConfiguration: &types.S3DestinationConfiguration{
			RoleARN: &role, BucketARN: &bucketARN, BufferingHints: hints,
		},
	}))
	active(ctx, client, other)
	must(client.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: &other}))
}
