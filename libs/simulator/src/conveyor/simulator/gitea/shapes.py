"""The JSON that Gitea answers and sends, key by key as captured from a real one, with the keys newer versions added."""

import hashlib
from typing import Any

from conveyor.simulator.gitea.git import Commit, FileDelta, Signature
from conveyor.simulator.gitea.world import Comment, Hook, Pull, Repo, Review, Status, User, World

Json = dict[str, Any]
NEVER = "0001-01-01T00:00:00Z"


class Shapes:
    """Turns what the world knows into JSON; `url` is the server's base URL, set once it listens."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.url = ""

    def user(self, user: User) -> Json:
        """Return a user; the same shape everywhere."""
        return {
            "id": user.id,
            "login": user.login,
            "full_name": "",
            "email": user.email,
            "avatar_url": f"{self.url}/avatars/{hashlib.sha256(user.email.encode()).hexdigest()[:32]}",
            "language": "",
            "is_admin": user.is_admin,
            "last_login": NEVER,
            "created": user.created_at,
            "restricted": False,
            "active": False,
            "prohibit_login": False,
            "location": "",
            "website": "",
            "description": "",
            "visibility": "public",
            "followers_count": 0,
            "following_count": 0,
            "starred_repos_count": 0,
            "username": user.login,
        }

    def repo(self, repo: Repo, viewer: User | None = None) -> Json:
        """Return a repository with the permissions of the viewer; inside pull requests nobody is looking."""
        page = f"{self.url}/{repo.full_name}"
        return {
            "id": repo.id,
            "owner": self.user(repo.owner),
            "name": repo.name,
            "full_name": repo.full_name,
            "description": "",
            "empty": not repo.heads,
            "private": repo.private,
            "html_url": page,
            "url": f"{self.url}/api/v1/repos/{repo.full_name}",
            "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
            "clone_url": f"{page}.git",
            "open_pr_counter": len(repo.open_pulls()),
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "created_at": repo.created_at,
            "updated_at": repo.updated_at,
            "permissions": {
                "admin": viewer is not None and repo.allows(viewer, "admin"),
                "push": viewer is not None and repo.allows(viewer, "write"),
                "pull": viewer is not None and repo.allows(viewer, "read"),
            },
            "default_merge_style": "merge",
            "allow_merge_commits": "merge" in repo.merge_styles,
            "allow_rebase": "rebase" in repo.merge_styles,
            "allow_rebase_explicit": "rebase-merge" in repo.merge_styles,
            "allow_squash_merge": "squash" in repo.merge_styles,
            **REPO_CONSTANTS,
        }

    def pull(self, repo: Repo, pull: Pull) -> Json:
        """Return a pull request as it stands at this moment."""
        page = f"{self.url}/{repo.full_name}/pulls/{pull.number}"
        return {
            "id": pull.id,
            "url": page,
            "number": pull.number,
            "user": self.user(pull.user),
            "title": pull.title,
            "body": pull.body,
            "labels": [],
            "milestone": None,
            "assignee": None,
            "assignees": None,
            "requested_reviewers": [self.user(user) for user in pull.requested_reviewers],
            "requested_reviewers_teams": [],
            "state": pull.state,
            "draft": pull.draft,
            "is_locked": False,
            "comments": len(pull.comments),
            "additions": pull.extent.additions,
            "deletions": pull.extent.deletions,
            "changed_files": pull.extent.changed_files,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "mergeable": pull.mergeable,
            "merged": pull.merged,
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_commit_sha,
            "merged_by": None if pull.merged_by is None else self.user(pull.merged_by),
            "allow_maintainer_edit": False,
            "base": self._side(repo, pull.base, pull.base, repo.heads.get(pull.base, "")),
            "head": self._head(repo, pull),
            "merge_base": pull.extent.merge_base,
            "due_date": None,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "pin_order": 0,
            "content_version": 0,
        }

    def _head(self, repo: Repo, pull: Pull) -> Json:
        ref = pull.head if pull.head in repo.heads else f"refs/pull/{pull.number}/head"
        return self._side(repo, ref, pull.head, repo.head_sha(pull))

    def _side(self, repo: Repo, ref: str, label: str, sha: str) -> Json:
        return {"label": label, "ref": ref, "sha": sha, "repo_id": repo.id, "repo": self.repo(repo)}

    def commit_payload(self, repo: Repo, commit: Commit, delta: FileDelta) -> Json:
        """Return a commit as webhooks and branches show it: its sha is `id`."""
        return {
            "id": commit.sha,
            "message": commit.message,
            "url": f"{self.url}/{repo.full_name}/commit/{commit.sha}",
            "author": self._person(commit.author),
            "committer": self._person(commit.committer),
            "verification": None,
            "timestamp": commit.committer.at,
            "added": list(delta.added),
            "removed": list(delta.removed),
            "modified": list(delta.modified),
        }

    def _person(self, who: Signature) -> Json:
        known = self._by_email(who.email)
        return {"name": who.name, "email": who.email, "username": "" if known is None else known.login}

    def _by_email(self, email: str) -> User | None:
        return next((user for user in self._world.users.values() if user.email == email), None)

    def commit(self, repo: Repo, commit: Commit) -> Json:
        """Return a commit as the REST lists show it: its sha is `sha`."""
        api = f"{self.url}/api/v1/repos/{repo.full_name}/git"
        author, committer = self._by_email(commit.author.email), self._by_email(commit.committer.email)
        return {
            "url": f"{api}/commits/{commit.sha}",
            "sha": commit.sha,
            "created": commit.committer.at,
            "html_url": f"{self.url}/{repo.full_name}/commit/{commit.sha}",
            "commit": {
                "url": f"{api}/commits/{commit.sha}",
                "author": {"name": commit.author.name, "email": commit.author.email, "date": commit.author.at},
                "committer": {
                    "name": commit.committer.name,
                    "email": commit.committer.email,
                    "date": commit.committer.at,
                },
                "message": commit.message,
                "tree": {
                    "url": f"{api}/trees/{commit.tree_sha}",
                    "sha": commit.tree_sha,
                    "created": commit.committer.at,
                },
                "verification": None,
            },
            "author": None if author is None else self.user(author),
            "committer": None if committer is None else self.user(committer),
            "parents": [
                {"url": f"{api}/commits/{sha}", "sha": sha, "created": commit.committer.at} for sha in commit.parents
            ],
        }

    def review(self, repo: Repo, pull: Pull, review: Review) -> Json:
        """Return a review; `stale` once the head has moved on."""
        page = f"{self.url}/{repo.full_name}/pulls/{pull.number}"
        return {
            "id": review.id,
            "user": self.user(review.user),
            "team": None,
            "state": review.state,
            "body": review.body,
            "commit_id": review.commit_id,
            "stale": review.commit_id != repo.head_sha(pull),
            "official": review.official,
            "dismissed": review.dismissed,
            "comments_count": 0,
            "submitted_at": review.submitted_at,
            "updated_at": review.submitted_at,
            "html_url": f"{page}#issuecomment-{review.id}",
            "pull_request_url": page,
        }

    def status(self, repo: Repo, status: Status) -> Json:
        """Return a commit status as REST shows it: the state is under `status`."""
        return {
            "id": status.index,
            "status": status.state,
            "target_url": status.target_url,
            "description": status.description,
            "url": f"{self.url}/api/v1/repos/{repo.full_name}/statuses/{status.sha}",
            "context": status.context,
            "creator": self.user(status.creator),
            "created_at": status.created_at,
            "updated_at": status.created_at,
        }

    def hook(self, hook: Hook) -> Json:
        """Return a hook without its secret."""
        return {
            "id": hook.id,
            "type": hook.type,
            "branch_filter": hook.branch_filter,
            "config": {"content_type": hook.content_type, "url": hook.url},
            "events": hook.events,
            "authorization_header": hook.authorization_header,
            "active": hook.active,
            "updated_at": hook.updated_at,
            "created_at": hook.created_at,
        }

    def comment(self, repo: Repo, pull: Pull, comment: Comment) -> Json:
        """Return a comment of a pull request's conversation."""
        page = f"{self.url}/{repo.full_name}/pulls/{pull.number}"
        return {
            "id": comment.id,
            "html_url": f"{page}#issuecomment-{comment.id}",
            "pull_request_url": page,
            "issue_url": "",
            "user": self.user(comment.user),
            "original_author": "",
            "original_author_id": 0,
            "body": comment.body,
            "assets": [],
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
        }

    def issue(self, repo: Repo, pull: Pull) -> Json:
        """Return a pull request in its shape as an issue."""
        return {
            "id": pull.id,
            "url": f"{self.url}/api/v1/repos/{repo.full_name}/issues/{pull.number}",
            "html_url": f"{self.url}/{repo.full_name}/pulls/{pull.number}",
            "number": pull.number,
            "user": self.user(pull.user),
            "original_author": "",
            "original_author_id": 0,
            "title": pull.title,
            "body": pull.body,
            "ref": "",
            "labels": [],
            "milestone": None,
            "assignee": None,
            "assignees": None,
            "state": pull.state,
            "is_locked": False,
            "comments": len(pull.comments),
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "due_date": None,
            "pull_request": {"merged": pull.merged, "merged_at": pull.merged_at},
            "repository": {
                "id": repo.id,
                "name": repo.name,
                "owner": repo.owner.login,
                "full_name": repo.full_name,
            },
        }


REPO_CONSTANTS: Json = {
    "fork": False,
    "template": False,
    "parent": None,
    "mirror": False,
    "size": 100,
    "original_url": "",
    "website": "",
    "stars_count": 0,
    "forks_count": 0,
    "watchers_count": 1,
    "open_issues_count": 0,
    "release_counter": 0,
    "has_issues": True,
    "internal_tracker": {
        "enable_time_tracker": True,
        "allow_only_contributors_to_track_time": True,
        "enable_issue_dependencies": True,
    },
    "has_wiki": True,
    "has_pull_requests": True,
    "has_projects": True,
    "ignore_whitespace_conflicts": False,
    "avatar_url": "",
    "internal": False,
    "mirror_interval": "",
    "repo_transfer": None,
}
