// The official Java S3 Encryption Client reads objects and writes the plain text of each to a file.
// Usage: java Decrypt.java ENDPOINT BUCKET WRAPPING_KEY_BASE64 FOLDER KEY...; the files are FOLDER/0, FOLDER/1, in the
// order of the keys; there is none for an object that the client refuses.

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.encryption.s3.CommitmentPolicy;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.S3EncryptionClientException;
import software.amazon.encryption.s3.algorithms.AlgorithmSuite;

public class Decrypt {
    public static void main(String[] arguments) throws Exception {
        URI endpoint = URI.create(arguments[0]);
        StaticCredentialsProvider credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create(
                System.getenv("MILLRACE_TEST_S3_ACCESS_KEY_ID"), System.getenv("MILLRACE_TEST_S3_SECRET_ACCESS_KEY")));
        byte[] wrappingKey = Base64.getDecoder().decode(arguments[2]);
        try (S3Client plain = S3Client.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
                        .credentialsProvider(credentials).forcePathStyle(true).build();
                S3AsyncClient plainAsync = S3AsyncClient.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
                        .credentialsProvider(credentials).forcePathStyle(true).build();
                S3EncryptionClient client = S3EncryptionClient.builderV4()
                        .wrappedClient(plain)
                        .wrappedAsyncClient(plainAsync)
                        .aesKey(new SecretKeySpec(wrappingKey, "AES"))
                        .encryptionAlgorithm(AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF)
                        .commitmentPolicy(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
                        .build()) {
            Path folder = Path.of(arguments[3]);
            for (int index = 4; index < arguments.length; index++) {
                read(client, arguments[1], arguments[index], folder.resolve(String.valueOf(index - 4)));
            }
        }
    }

    private static void read(S3EncryptionClient client, String bucket, String key, Path file) throws Exception {
        try {
            ResponseBytes<GetObjectResponse> found =
                    client.getObjectAsBytes(request -> request.bucket(bucket).key(key));
            Files.write(file, found.asByteArray());
        } catch (S3EncryptionClientException refused) {
            System.err.println(key + " is refused: " + refused.getMessage());
        }
    }
}
