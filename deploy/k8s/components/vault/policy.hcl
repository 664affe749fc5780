# Vault's policy `worksite-services`: a pod reads the secrets of the service that its service account is named after, and no
# others. ACCESSOR is what `bao auth list` shows of kubernetes/.
path "secret/data/worksite/{{identity.entity.aliases.ACCESSOR.metadata.service_account_name}}" {
  capabilities = ["read"]
}
