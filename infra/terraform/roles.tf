# One role per policy in ../policies, which stay the only place where rights are written. They
# name bucket `lake` and product `genept`; here those are the variables'.

locals {
  roles = toset([for file in fileset("${path.module}/../policies", "*.json") : trimsuffix(file, ".json")])

  policies = {
    for role in local.roles : role => replace(
      replace(
        file("${path.module}/../policies/${role}.json"),
        "arn:aws:s3:::lake/genept/",
        "arn:aws:s3:::${var.bucket}/${var.product}/"
      ),
      "arn:aws:s3:::lake\"",
      "arn:aws:s3:::${var.bucket}\""
    )
  }
}

data "aws_iam_policy_document" "trust" {
  for_each = { for role in local.roles : role => lookup(var.trusted, role, []) if length(lookup(var.trusted, role, [])) > 0 }

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = each.value
    }
  }
}

resource "aws_iam_role" "role" {
  for_each = data.aws_iam_policy_document.trust

  name                 = "${var.bucket}-${var.product}-${each.key}"
  assume_role_policy   = each.value.json
  max_session_duration = 14400
}

# Public releases are a product of their own, which these roles write and collect.
resource "aws_iam_role_policy" "public" {
  for_each = { for name, role in aws_iam_role.role : name => role if var.public_read && contains(["publisher", "gc"], name) }

  name = "${each.key}-public"
  role = each.value.id
  policy = replace(
    local.policies[each.key],
    ":::${var.bucket}/${var.product}/",
    ":::${var.bucket}/${var.product}-public/"
  )
}

resource "aws_iam_role_policy" "role" {
  for_each = aws_iam_role.role

  name   = each.key
  role   = each.value.id
  policy = local.policies[each.key]
}
