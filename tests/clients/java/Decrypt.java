// The official Java S3 Encryption Client reads an object and writes the plain text to a file.
// Usage: java Decrypt.java ENDPOINT BUCKET KEY WRAPPING_KEY_BASE64 FILE; ends with 2 when the client refuses the object.

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
    /** What the process ends with when the client refuses the object. */
    private static final int REFUSED = 2;

    public static void main(String[] arguments) throws Exception {
        URI endpoint = URI.create(arguments[0]);
        StaticCredentialsProvider credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create(
                System.getenv("MILLRACE_TEST_S3_ACCESS_KEY_ID"), System.getenv("MILLRACE_TEST_S3_SECRET_ACCESS_KEY")));
        byte[] wrappingKey = Base64.getDecoder().decode(arguments[3]);
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
            ResponseBytes<GetObjectResponse> read =
                    client.getObjectAsBytes(request -> request.bucket(arguments[1]).key(arguments[2]));
            Files.write(Path.of(arguments[4]), read.asByteArray());
        } catch (S3EncryptionClientException refused) {
            System.err.println("refused: " + refused.getMessage());
            System.exit(REFUSED);
        }
    }
}
