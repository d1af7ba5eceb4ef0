// The Lambda API: a handler from a bare module through versions and aliases, and a transform from zips.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const (
	account = "arn:aws:lambda:us-east-1:000000000000:function:"
	role    = "arn:aws:iam::000000000000:role/lambda"
	// How long a function may take until it is active.
	readyMax = 30 * time.Second
)

// function is one function by its client.
type function struct {
	ctx    context.Context
	client *lambda.Client
	name   *string
	arn    string
}

func life(ctx context.Context, client *lambda.Client, name, folder string) {
	one := function{ctx, client, &name, account + name}
	one.creates(read(folder, "greet.wasm"))
	one.invokes()
	one.rolls()
	one.limits()
	zipped := name + "-zip"
	function{ctx, client, &zipped, account + zipped}.updatesCode(read(folder, "mark.zip"), read(folder, "identity.zip"))

	var names []string
	pages := lambda.NewListFunctionsPaginator(client, &lambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
	for pages.HasMorePages() {
		for _, each := range must(pages.NextPage(ctx)).Functions {
			names = append(names, *each.FunctionName)
		}
	}
	check(slices.Contains(names, name) && !slices.Contains(names, zipped), "ListFunctions", names)
	must(client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name}))
	_, err := client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
	absent := failed[*types.ResourceNotFoundException](err)
	check(absent.ErrorMessage() == "Function not found: "+one.arn, "its text", absent.ErrorMessage())
	_, err = client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name})
	failed[*types.ResourceNotFoundException](err)
}

func read(folder, name string) []byte {
	return must(os.ReadFile(filepath.Join(folder, name)))
}

// failed is the typed error that a call must have ended with.
func failed[E error](err error) E {
	var typed E
	check(errors.As(err, &typed), fmt.Sprintf("%T", typed), err)
	return typed
}

func (f function) active() {
	input := &lambda.GetFunctionInput{FunctionName: f.name}
	waiter := lambda.NewFunctionActiveV2Waiter(f.client, func(options *lambda.FunctionActiveV2WaiterOptions) {
		options.MinDelay, options.MaxDelay = activePause, activePause
	})
	check(waiter.Wait(f.ctx, input, readyMax) == nil, "the function becomes Active", *f.name)
}

func (f function) updated() {
	input := &lambda.GetFunctionInput{FunctionName: f.name}
	waiter := lambda.NewFunctionUpdatedV2Waiter(f.client, func(options *lambda.FunctionUpdatedV2WaiterOptions) {
		options.MinDelay, options.MaxDelay = activePause, activePause
	})
	check(waiter.Wait(f.ctx, input, readyMax) == nil, "the update becomes Successful", *f.name)
}

// invoke is the SDK's answer and the function's own, decoded.
func (f function) invoke(event string, qualifier *string) (*lambda.InvokeOutput, map[string]any) {
	answer := must(f.client.Invoke(f.ctx, &lambda.InvokeInput{
		FunctionName: f.name, Qualifier: qualifier, Payload: []byte(event), LogType: types.LogTypeTail,
	}))
	var said map[string]any
	check(json.Unmarshal(answer.Payload, &said) == nil, "the answer is JSON", string(answer.Payload))
	return answer, said
}

func (f function) creates(module []byte) {
	create := &lambda.CreateFunctionInput{
		FunctionName: f.name, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("handler"), Role: aws.String(role),
		Code: &types.FunctionCode{ZipFile: module}, MemorySize: aws.Int32(256), Timeout: aws.Int32(5),
		Environment: &types.Environment{Variables: map[string]string{"GREETING": "Hello"}},
		Tags:        map[string]string{"team": "clients"},
	}
	made := must(f.client.CreateFunction(f.ctx, create))
	check(*made.FunctionArn == f.arn, "ARN", *made.FunctionArn)
	_, err := f.client.CreateFunction(f.ctx, create)
	conflict := failed[*types.ResourceConflictException](err)
	check(conflict.ErrorMessage() == "Function already exist: "+*f.name, "its text", conflict.ErrorMessage())
	f.active()
	got := must(f.client.GetFunction(f.ctx, &lambda.GetFunctionInput{FunctionName: f.name}))
	found := got.Configuration
	check(found.State == types.StateActive && found.LastUpdateStatus == types.LastUpdateStatusSuccessful, "state", found)
	check(*found.Version == "$LATEST" && *found.MemorySize == 256 && *found.Timeout == 5, "configuration", found)
	check(found.Environment.Variables["GREETING"] == "Hello" && got.Tags["team"] == "clients", "settings, tags", got)
}

func (f function) invokes() {
	answer, said := f.invoke(`{"name":"Ada"}`, nil)
	check(answer.StatusCode == 200 && *answer.ExecutedVersion == "$LATEST" && answer.FunctionError == nil, "Invoke", answer)
	check(said["message"] == "Hello, Ada!", "the answer", said)
	log := string(must(base64.StdEncoding.DecodeString(*answer.LogResult)))
	check(strings.HasPrefix(log, "START RequestId: ") && strings.Contains(log, "greets Ada\n") &&
		strings.Contains(log, "\nREPORT RequestId: "), "LogResult", log)
	answer, said = f.invoke(`{}`, nil)
	check(*answer.FunctionError == "Unhandled" && said["errorMessage"] == "nobody to greet", "FunctionError", said)
	for kind, status := range map[types.InvocationType]int32{
		types.InvocationTypeDryRun: 204, types.InvocationTypeEvent: 202,
	} {
		asked := must(f.client.Invoke(f.ctx, &lambda.InvokeInput{FunctionName: f.name, InvocationType: kind}))
		check(asked.StatusCode == status, string(kind), asked)
	}
	_, err := f.client.Invoke(f.ctx, &lambda.InvokeInput{FunctionName: f.name, Payload: []byte("no JSON")})
	failed[*types.InvalidRequestContentException](err)
}

func (f function) publish(number string) {
	made := must(f.client.PublishVersion(f.ctx, &lambda.PublishVersionInput{FunctionName: f.name}))
	check(*made.Version == number && *made.FunctionArn == f.arn+":"+number, "PublishVersion", made)
}

func (f function) rolls() {
	f.publish("1")
	must(f.client.UpdateFunctionConfiguration(f.ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: f.name, Environment: &types.Environment{Variables: map[string]string{"GREETING": "Servus"}},
	}))
	f.updated()
	f.publish("2")
	live := aws.String("live")
	half := map[string]float64{"2": 0.5}
	alias := must(f.client.CreateAlias(f.ctx, &lambda.CreateAliasInput{
		FunctionName: f.name, Name: live, FunctionVersion: aws.String("1"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: half},
	}))
	check(*alias.AliasArn == f.arn+":live" && *alias.FunctionVersion == "1", "CreateAlias", alias)
	check(reflect.DeepEqual(alias.RoutingConfig.AdditionalVersionWeights, half), "weights", alias.RoutingConfig)
	greeted := map[string]string{"1": "Hello, Ada!", "2": "Servus, Ada!"}
	for range 8 {
		answer, said := f.invoke(`{"name":"Ada"}`, live)
		check(said["message"] == greeted[*answer.ExecutedVersion], "which version answered", answer, said)
	}
	for _, version := range []string{"2", "1"} { // On, and back.
		must(f.client.UpdateAlias(f.ctx, &lambda.UpdateAliasInput{
			FunctionName: f.name, Name: live, FunctionVersion: &version,
			RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}},
		}))
		_, said := f.invoke(`{"name":"Ada"}`, live)
		check(said["message"] == greeted[version], "the alias leads to "+version, said)
	}
	_, err := f.client.DeleteFunction(f.ctx, &lambda.DeleteFunctionInput{FunctionName: f.name, Qualifier: aws.String("1")})
	failed[*types.ResourceConflictException](err)
	must(f.client.DeleteAlias(f.ctx, &lambda.DeleteAliasInput{FunctionName: f.name, Name: live}))
	_, err = f.client.GetAlias(f.ctx, &lambda.GetAliasInput{FunctionName: f.name, Name: live})
	failed[*types.ResourceNotFoundException](err)
}

func (f function) limits() {
	must(f.client.PutFunctionConcurrency(f.ctx, &lambda.PutFunctionConcurrencyInput{
		FunctionName: f.name, ReservedConcurrentExecutions: aws.Int32(0),
	}))
	_, err := f.client.Invoke(f.ctx, &lambda.InvokeInput{FunctionName: f.name})
	throttled := failed[*types.TooManyRequestsException](err)
	check(throttled.Reason == types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded, "Reason", throttled)
	must(f.client.DeleteFunctionConcurrency(f.ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: f.name}))
	_, said := f.invoke(`{"name":"Ada"}`, nil)
	check(said["message"] == "Servus, Ada!", "again without a limit", said)

	must(f.client.TagResource(f.ctx, &lambda.TagResourceInput{
		Resource: &f.arn, Tags: map[string]string{"a": "1", "b": "2"},
	}))
	must(f.client.UntagResource(f.ctx, &lambda.UntagResourceInput{Resource: &f.arn, TagKeys: []string{"a", "team"}}))
	tags := must(f.client.ListTags(f.ctx, &lambda.ListTagsInput{Resource: &f.arn})).Tags
	check(reflect.DeepEqual(tags, map[string]string{"b": "2"}), "ListTags", tags)
}

// transforms checks what one record becomes.
func (f function) transforms(record, wanted string) {
	_, said := f.invoke(fmt.Sprintf(`{"invocationId":"i","region":"us-east-1",
		"deliveryStreamArn":"arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
		"records":[{"recordId":"7","approximateArrivalTimestamp":1,"data":%q}]}`,
		base64.StdEncoding.EncodeToString([]byte(record))), nil)
	want := []any{map[string]any{
		"recordId": "7", "result": "Ok", "data": base64.StdEncoding.EncodeToString([]byte(wanted)),
	}}
	check(reflect.DeepEqual(said["records"], want), "records", said)
}

func (f function) updatesCode(mark, identity []byte) {
	made := must(f.client.CreateFunction(f.ctx, &lambda.CreateFunctionInput{
		FunctionName: f.name, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("transform"), Role: aws.String(role),
		Code: &types.FunctionCode{ZipFile: mark}, Environment: &types.Environment{Variables: map[string]string{"MARK": "here"}},
	}))
	f.active()
	f.transforms(`{"a":1}`, `{"a":1,"mark":"here"}`)
	update := &lambda.UpdateFunctionCodeInput{
		FunctionName: f.name, ZipFile: identity, RevisionId: aws.String("0b38ed2e-7a5c-4a3d-8a3f-2f6d4cf1a9c1"),
	}
	_, err := f.client.UpdateFunctionCode(f.ctx, update)
	failed[*types.PreconditionFailedException](err)
	update.RevisionId = nil
	updated := must(f.client.UpdateFunctionCode(f.ctx, update))
	check(*updated.CodeSha256 != *made.CodeSha256, "CodeSha256", updated)
	f.updated()
	f.transforms(`{"a":1}`, `{"a":1}`)
	must(f.client.DeleteFunction(f.ctx, &lambda.DeleteFunctionInput{FunctionName: f.name}))
}
