output "bucket" {
  description = "GENEPT_BUCKET."
  value       = aws_s3_bucket.lake.id
}

output "roles" {
  description = "What each part of the platform assumes."
  value       = { for name, role in aws_iam_role.role : name => role.arn }
}
