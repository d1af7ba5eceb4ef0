//! Shapes and advice that several operations' tables share (service model 2015-03-31).

use super::patterns;
use crate::protocol::member::{only, optional, refused, shown, text};
use crate::protocol::patterns::ONE_LINE;
use crate::protocol::shape::{Member, Outcome, Shape};

/// `FunctionName`.
pub(super) const FUNCTION_NAME: Shape = text(1, 140, &patterns::FUNCTION_NAME);
/// `NamespacedFunctionName`.
pub(super) const NAMESPACED: Shape = text(1, 256, &patterns::NAMESPACED_FUNCTION_NAME);
/// `NumericLatestPublishedOrAliasQualifier`.
pub(super) const QUALIFIER: Shape = text(1, 128, &patterns::QUALIFIER);
/// `Alias`.
pub(super) const ALIAS: Shape = text(1, 128, &patterns::ALIAS);
/// `VersionWithLatestPublished`.
pub(super) const VERSION: Shape = text(1, 1024, &patterns::VERSION);
/// `FunctionVersion` of an alias.
pub(super) const fn alias_version(required: bool) -> Member {
    let outcome = Outcome::Except(&["$LATEST"], NO_ALIAS_ON_LATEST);
    Member { name: "FunctionVersion", required, shape: VERSION, outcome }
}

/// `Description`.
pub(super) const DESCRIPTION: Shape = Shape::Text { length: (0, 256), pattern: None };
/// A string without constraints.
pub(super) const TEXT: Shape = Shape::Text { length: (0, usize::MAX), pattern: None };
/// `MaxListItems`.
pub(super) const MAX_ITEMS: Shape = Shape::Integer(1, 10_000);
/// `RoleArn`.
pub(super) const ROLE: Shape = text(0, 10_000, &patterns::ROLE);
/// `Handler`.
pub(super) const HANDLER: Shape = text(0, 128, &patterns::HANDLER);
/// `Timeout`: the model's range; ours is checked where it is read.
pub(super) const TIMEOUT: Shape = Shape::Integer(1, 5400);
/// `MemorySize`: the same.
pub(super) const MEMORY: Shape = Shape::Integer(128, 32_768);
/// `Tags`.
pub(super) const TAGS: Shape = Shape::TextMap(&TAG_KEY, &TAG_VALUE);
/// `TagKey`.
pub(super) static TAG_KEY: Shape = text(1, 128, &patterns::TAG);
static TAG_VALUE: Shape = text(0, 256, &patterns::TAG);
/// `TaggableResource`.
pub(super) const RESOURCE: Shape = text(1, 10_000, &patterns::RESOURCE);

/// `Runtime`, in the model's order.
pub(super) const RUNTIME: Shape = Shape::Enum {
    values: &[
        "nodejs",
        "nodejs4.3",
        "nodejs6.10",
        "nodejs8.10",
        "nodejs10.x",
        "nodejs12.x",
        "nodejs14.x",
        "nodejs16.x",
        "nodejs18.x",
        "nodejs20.x",
        "nodejs22.x",
        "nodejs24.x",
        "java8",
        "java8.al2",
        "java11",
        "java17",
        "java21",
        "java25",
        "python2.7",
        "python3.6",
        "python3.7",
        "python3.8",
        "python3.9",
        "python3.10",
        "python3.11",
        "python3.12",
        "python3.13",
        "python3.14",
        "dotnetcore1.0",
        "dotnetcore2.0",
        "dotnetcore2.1",
        "dotnetcore3.1",
        "dotnet6",
        "dotnet8",
        "dotnet10",
        "nodejs4.3-edge",
        "go1.x",
        "ruby2.5",
        "ruby2.7",
        "ruby3.2",
        "ruby3.3",
        "ruby3.4",
        "ruby4.0",
        "provided",
        "provided.al2",
        "provided.al2023",
        "nodejs26.x",
        "python3.15",
        "java8.al2023",
        "java11.al2023",
        "java17.al2023",
        "custom",
    ],
    extensions: &[],
};
/// The one runtime.
pub(super) const RUNTIME_HERE: &str = "provided.al2023";

pub(super) const NO_KMS: &str = "what the server keeps is not encrypted with a key of a request; leave it out";
pub(super) const NO_RUNTIME: &str =
    "functions are WebAssembly modules: port it with `millrace new NAME -t LANGUAGE`, and use provided.al2023";
pub(super) const NO_HANDLER: &str = "it names the world of the module: use transform for batches, handler for events";
pub(super) const NO_CAPACITY: &str = "functions run in this server itself; leave it out";
pub(super) const NO_DURABLE: &str = "use Invoke with InvocationType Event, whose events are kept and tried again";
pub(super) const NO_RUNTIME_CONFIG: &str = "a module carries its runtime; leave it out";
pub(super) const NO_PUBLISH_TO: &str = "use Publish, which makes a numbered version";
pub(super) const NO_IMAGE: &str =
    "there are no container images; send the module as Code.ZipFile or by S3Bucket and S3Key";
pub(super) const NO_ARM: &str = "a module runs on any machine; use x86_64 or leave it out";
const NO_ALIAS_ON_LATEST: &str =
    "an alias points at a version that never changes, so that a way back is one; publish one with PublishVersion first";
const NO_VPC: &str = "a function reaches the hosts of its grants, and no network of its own; leave it out";
const NO_LAYERS: &str = "a function is one module; build what it shares into it";
const NO_FILES: &str = "a function has no file system; leave it out";
const NO_LEVELS: &str = "lines are kept as the function writes them, with their level; leave it out";
const ROLE_SHOWN: &str = "a function has what its grants give; the role is shown again, not assumed";

/// `Role`, required or not.
pub(super) const fn role(required: bool) -> Member {
    Member { required, ..shown("Role", ROLE, ROLE_SHOWN) }
}

/// `Runtime`.
pub(super) const fn runtime() -> Member {
    only("Runtime", RUNTIME, &[RUNTIME_HERE], NO_RUNTIME)
}

/// `Handler`.
pub(super) const fn handler() -> Member {
    only("Handler", HANDLER, &["transform", "handler"], NO_HANDLER)
}

/// `Environment`.
pub(super) const fn environment() -> Member {
    optional("Environment", Shape::Structure(&ENVIRONMENT))
}

static ENVIRONMENT: [Member; 1] = [optional("Variables", Shape::TextMap(&VARIABLE, &VARIABLE_VALUE))];
static VARIABLE: Shape = Shape::Text { length: (0, usize::MAX), pattern: Some(&patterns::VARIABLE) };
static VARIABLE_VALUE: Shape = TEXT;

/// `VpcConfig`: an empty one is none.
pub(super) const fn vpc() -> Member {
    optional("VpcConfig", Shape::Structure(&VPC))
}

static VPC: [Member; 3] = [
    only("SubnetIds", Shape::List(0, 16, &TEXT_ITEM), &["[]"], NO_VPC),
    only("SecurityGroupIds", Shape::List(0, 5, &TEXT_ITEM), &["[]"], NO_VPC),
    only("Ipv6AllowedForDualStack", Shape::Boolean, &["false"], NO_VPC),
];
static TEXT_ITEM: Shape = Shape::Text { length: (0, 1024), pattern: None };

/// `DeadLetterConfig`: an empty one is none.
pub(super) const fn dead_letter() -> Member {
    optional("DeadLetterConfig", Shape::Structure(&DEAD_LETTER))
}

static DEAD_LETTER: [Member; 1] =
    [only("TargetArn", TEXT, &[""], "use PutFunctionEventInvokeConfig with DestinationConfig.OnFailure")];

/// `KMSKeyArn` and its like.
pub(super) const fn kms(name: &'static str) -> Member {
    only(name, TEXT, &[""], NO_KMS)
}

/// `TracingConfig`.
pub(super) const fn tracing() -> Member {
    optional("TracingConfig", Shape::Structure(&TRACING))
}

static TRACING: [Member; 1] = [only(
    "Mode",
    Shape::Enum { values: &["Active", "PassThrough"], extensions: &[] },
    &["PassThrough"],
    "calls are not traced; use PassThrough or leave it out",
)];

/// `Layers`: an empty list is none.
pub(super) const fn layers() -> Member {
    only("Layers", Shape::List(0, usize::MAX, &TEXT_ITEM), &["[]"], NO_LAYERS)
}

/// `FileSystemConfigs`: the same.
pub(super) const fn file_systems() -> Member {
    only("FileSystemConfigs", Shape::List(0, 1, &Shape::Opaque), &["[]"], NO_FILES)
}

/// `ImageConfig`.
pub(super) const fn image_config() -> Member {
    refused("ImageConfig", NO_IMAGE)
}

/// `EphemeralStorage`: the service's default alone.
pub(super) const fn storage() -> Member {
    optional("EphemeralStorage", Shape::Structure(&STORAGE))
}

static STORAGE: [Member; 1] = [Member {
    required: true,
    ..only("Size", Shape::Integer(512, 32_768), &["512"], "a function has no file system; use 512 or leave it out")
}];

/// `SnapStart`.
pub(super) const fn snap_start() -> Member {
    optional("SnapStart", Shape::Structure(&SNAP_START))
}

static SNAP_START: [Member; 1] = [only(
    "ApplyOn",
    Shape::Enum { values: &["PublishedVersions", "None"], extensions: &[] },
    &["None"],
    "modules are compiled when they come and start at once; use None or leave it out",
)];

/// `LoggingConfig`.
pub(super) const fn logging() -> Member {
    optional("LoggingConfig", Shape::Structure(&LOGGING))
}

static LOGGING: [Member; 4] = [
    only("LogFormat", Shape::Enum { values: &["JSON", "Text"], extensions: &[] }, &["Text"], NO_LEVELS),
    refused("ApplicationLogLevel", NO_LEVELS),
    refused("SystemLogLevel", NO_LEVELS),
    shown(
        "LogGroup",
        text(1, 512, &patterns::LOG_GROUP),
        "logs are read with `millrace logs NAME`; the group is shown again, not used",
    ),
];

/// `S3Bucket`.
pub(super) const fn bucket() -> Member {
    optional("S3Bucket", text(3, 63, &patterns::BUCKET))
}

/// `S3Key`.
pub(super) const fn key() -> Member {
    optional("S3Key", text(1, 1024, &ONE_LINE))
}

/// `S3ObjectVersion`.
pub(super) const fn object_version() -> Member {
    refused("S3ObjectVersion", "the newest version of the object is taken; leave it out")
}

/// `S3ObjectStorageMode`.
pub(super) const fn storage_mode() -> Member {
    only(
        "S3ObjectStorageMode",
        Shape::Enum { values: &["COPY", "REFERENCE"], extensions: &[] },
        &["COPY"],
        "the module is copied when it is deployed; use COPY or leave it out",
    )
}

/// `Architectures`.
pub(super) const fn architectures() -> Member {
    only("Architectures", Shape::List(1, 1, &ARCHITECTURE), &[r#"["x86_64"]"#], NO_ARM)
}

static ARCHITECTURE: Shape = Shape::Enum { values: &["x86_64", "arm64"], extensions: &[] };
