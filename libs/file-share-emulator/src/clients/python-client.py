"""The calls of the suite, made by Microsoft's Python client; prints what came of them as one line of JSON."""
import datetime
import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import (
    AccessPolicy, AccountSasPermissions, ContentSettings, CorsRule, FileSasPermissions, Metrics, ResourceTypes, ShareClient, ShareFileClient,
    ShareSasPermissions, ShareServiceClient, generate_account_sas, generate_file_sas, generate_share_sas,
)

url, account, key = sys.argv[1:4]
result = {}


def code_of(call):
    try:
        call()
        return None
    except HttpResponseError as error:
        return getattr(error.error_code, "value", error.error_code)


service = ShareServiceClient(f"{url}/{account}", credential={"account_name": account, "account_key": key}, retry_total=0)
share = service.get_share_client("python")
share.create_share(quota=2, metadata={"of": "share"})
result["share"] = [share.get_share_properties().quota, share.get_share_properties().metadata, [one.name for one in service.list_shares(name_starts_with="py")]]

folder = share.create_directory("a folder")
file = folder.get_file_client("file")
content = bytes(range(256)) * 20000
file.upload_file(content, metadata={"of": "file"})
properties = file.get_file_properties()
result["file"] = [properties.size, properties.metadata, file.download_file().readall() == content, file.download_file(offset=10, length=5).readall().hex()]
result["listed"] = [[one.name, one.size] for one in folder.list_directories_and_files()]

ranged = folder.get_file_client("ranged")
ranged.create_file(2049)
ranged.upload_range(b"hello", offset=0, length=5)
snapshot = share.create_snapshot()["snapshot"]
ranged.clear_range(offset=0, length=1024)
ranged.upload_range(b"world", offset=1023, length=5)
result["ranges"] = ranged.get_ranges()
result["diff"] = ranged.get_ranges_diff(previous_sharesnapshot=snapshot)
result["old"] = ShareFileClient(f"{url}/{account}", "python", "a folder/ranged", snapshot=snapshot, credential={"account_name": account, "account_key": key}).download_file(offset=0, length=5).readall().decode()

lease = ranged.acquire_lease()
result["leased"] = [code_of(lambda: ranged.delete_file()), ranged.get_file_properties().lease.state]
lease.release()

in_an_hour = datetime.datetime.utcnow() + datetime.timedelta(hours=1)
sas = generate_file_sas(account, "python", ["a folder", "file"], account_key=key, permission=FileSasPermissions(read=True), expiry=in_an_hour)
reader = ShareFileClient(f"{url}/{account}", "python", "a folder/file", credential=sas, retry_total=0)
result["sas"] = [reader.download_file(offset=0, length=3).readall().hex(), code_of(lambda: reader.delete_file())]

target = folder.get_file_client("copied")
target.create_file(512)
target.upload_range_from_url(f"{url}/{account}/python/a%20folder/file?{sas}", offset=0, length=512, source_offset=256)
result["copied"] = target.download_file().readall() == content[256:768]
result["copy"] = [target.start_copy_from_url(f"{url}/{account}/python/a%20folder/file?{sas}")["copy_status"], target.get_file_properties().copy.progress]

permission = share.create_permission_for_share("O:SYG:SYD:(A;;FA;;;SY)")
result["permission"] = share.get_permission_for_share(permission)
result["handles"] = [len(list(folder.list_handles(recursive=True))), folder.close_all_handles(recursive=True)]

second = share.acquire_lease(lease_duration=15)
second.renew()
result["share lease"] = [code_of(lambda: share.delete_share()), share.get_share_properties().lease.state]
second.break_lease(lease_break_period=0)
third = ranged.acquire_lease()
third.change("9f1b5a6e-9d5e-4c6b-9f0c-1f6d2b7a3c44")
third.break_lease()
result["file lease"] = ranged.get_file_properties().lease.state

service.set_service_properties(hour_metrics=Metrics(enabled=False), cors=[CorsRule(["*"], ["GET"], max_age_in_seconds=7)])
result["service"] = [service.get_service_properties()["cors"][0].max_age_in_seconds, service.get_service_properties()["hour_metrics"].enabled]
share.set_share_quota(3)
share.set_share_properties(access_tier="Hot")
share.set_share_metadata({"more": "said"})
described = share.get_share_properties()
result["described"] = [described.quota, described.access_tier, described.metadata]
result["used"] = share.get_share_stats() > 0
share.set_share_access_policy({"reading": AccessPolicy(permission="r", expiry=in_an_hour)})
result["policies"] = [[one.id, one.access_policy.permission] for one in share.get_share_access_policy()["signed_identifiers"]]
by_policy = generate_file_sas(account, "python", ["a folder", "file"], account_key=key, policy_id="reading")
result["by policy"] = ShareFileClient(f"{url}/{account}", "python", "a folder/file", credential=by_policy).download_file(offset=0, length=2).readall().hex()
share_sas = generate_share_sas(account, "python", account_key=key, permission=ShareSasPermissions(read=True, list=True), expiry=in_an_hour)
result["by share"] = sorted(one.name for one in ShareClient(f"{url}/{account}", "python", credential=share_sas).list_directories_and_files("a folder"))
account_sas = generate_account_sas(account, key, ResourceTypes(service=True), AccountSasPermissions(list=True), in_an_hour)
result["by account"] = [one.name for one in ShareServiceClient(f"{url}/{account}", credential=account_sas).list_shares(include_metadata=True)]

file.set_http_headers(ContentSettings(content_type="text/plain", cache_control="no-cache"), file_attributes="ReadOnly", file_last_write_time="2020-02-02T02:02:02.0000000Z")
file.set_file_metadata({"other": "words"})
described = file.get_file_properties()
result["headers"] = [described.content_settings.content_type, described.content_settings.cache_control, described.metadata, described.file_attributes, described.last_write_time.isoformat()[:19], code_of(file.delete_file)]
file.set_http_headers(ContentSettings(), file_attributes="None")
ranged.resize_file(4096)
result["resized"] = ranged.get_file_properties().size
result["renamed"] = [ranged.rename_file("a folder/Moved").get_file_properties().size, code_of(ranged.get_file_properties), folder.get_file_client("mOVED").get_file_properties().name]
result["not replaced"] = code_of(lambda: target.rename_file("a folder/moved"))
folder.set_directory_metadata({"of": "folder"})
moved = folder.rename_directory("other folder")
result["folder"] = [moved.get_directory_properties().metadata, moved.exists(), folder.exists()]
pages = share.list_directories_and_files("other folder", results_per_page=1).by_page()
result["pages"] = [[one.name for one in page] for page in pages]
detailed = list(share.list_directories_and_files("other folder", include=["timestamps", "Etag", "Attributes", "PermissionKey"]))
result["detailed"] = all(one.etag and one.creation_time and one.permission_key for one in detailed)
share.create_directory("other folder/below").delete_directory()
result["not empty"] = code_of(lambda: share.delete_directory("other folder"))
result["nothing to abort"] = code_of(lambda: moved.get_file_client("copied").abort_copy("9f1b5a6e-9d5e-4c6b-9f0c-1f6d2b7a3c44"))

result["absent"] = [code_of(lambda: moved.get_file_client("absent").download_file()), code_of(lambda: folder.get_file_client("absent").download_file()), code_of(lambda: service.get_share_client("absent").get_share_properties())]
result["wrong key"] = code_of(lambda: ShareClient(f"{url}/{account}", "python", credential={"account_name": account, "account_key": "AAAA"}, retry_total=0).get_share_properties())
share.delete_share(delete_snapshots=True)
result["deleted"] = code_of(lambda: share.get_share_properties())
gone = [one for one in service.list_shares(include_deleted=True) if one.deleted][0]
service.undelete_share(gone.name, gone.version)
result["undeleted"] = share.get_share_properties().metadata
print(json.dumps(result))
