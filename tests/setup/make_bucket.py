"""Makes the bucket named on the command line at the S3 server of the environment, if it is not there."""

import os
import sys

import boto3
from botocore.config import Config

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["MILLRACE_TEST_S3_ENDPOINT"],
    region_name="us-east-1",
    aws_access_key_id=os.environ["MILLRACE_TEST_S3_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["MILLRACE_TEST_S3_SECRET_ACCESS_KEY"],
    config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
)
if sys.argv[1] not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket=sys.argv[1])
